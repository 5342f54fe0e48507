package dev.weir.simulation.metrics;

import java.util.Arrays;
import java.util.Optional;
import org.apache.commons.math3.distribution.TDistribution;
import org.apache.commons.math3.stat.regression.SimpleRegression;

/**
 * The number of requests in the system over time, in equal slices of time that double in length
 * when there are too many, so that it takes the same memory however long a run is. Changes may come
 * in any order. Not thread-safe.
 */
public final class BacklogSeries {
  private static final int SLICES = 4096;
  private static final double FIRST_SECONDS = 1e-3;

  /** Changes in each slice. */
  private final long[] changes = new long[SLICES];

  /** Each change of a slice times its distance to the end of the slice. */
  private final double[] areas = new double[SLICES];

  private double seconds = FIRST_SECONDS;

  /** Begins empty at time 0. */
  public BacklogSeries() {}

  /**
   * Somebody came or went.
   *
   * @param time seconds, at least 0
   * @param change 1 or -1
   */
  public void add(double time, int change) {
    while (time >= seconds * SLICES) {
      widen();
    }
    int slice = (int) Math.min(SLICES - 1, time / seconds);
    changes[slice] += change;
    areas[slice] += change * ((slice + 1) * seconds - time);
  }

  private void widen() {
    for (int i = 0; i < SLICES / 2; i++) {
      int left = 2 * i;
      areas[i] = areas[left] + changes[left] * seconds + areas[left + 1];
      changes[i] = changes[left] + changes[left + 1];
    }
    Arrays.fill(areas, SLICES / 2, SLICES, 0);
    Arrays.fill(changes, SLICES / 2, SLICES, 0);
    seconds *= 2;
  }

  /**
   * The trend in the second half of an arrival window.
   *
   * @param from first arrival in seconds
   * @param until last arrival in seconds
   * @return empty if the window has no length
   */
  public Optional<BacklogTrend> trend(double from, double until) {
    if (!(until > from)) {
      return Optional.empty();
    }
    double[] areaBefore = new double[SLICES + 1];
    double[] backlog = new double[SLICES + 1];
    for (int i = 0; i < SLICES; i++) {
      areaBefore[i + 1] = areaBefore[i] + backlog[i] * seconds + areas[i];
      backlog[i + 1] = backlog[i] + changes[i];
    }
    double half = (from + until) / 2;
    double batch = (until - half) / BacklogTrend.BATCHES;
    SimpleRegression line = new SimpleRegression();
    double mean = 0;
    for (int i = 0; i < BacklogTrend.BATCHES; i++) {
      double start = half + i * batch;
      double inBatch = (area(areaBefore, start + batch) - area(areaBefore, start)) / batch;
      line.addData(start + batch / 2, inBatch);
      mean += inBatch / BacklogTrend.BATCHES;
    }
    double slope = line.getSlope();
    double error = line.getSlopeStdErr();
    double quantile =
        new TDistribution(BacklogTrend.BATCHES - 2)
            .inverseCumulativeProbability(BacklogTrend.CONFIDENCE);
    return Optional.of(
        new BacklogTrend(until - half, mean, slope, error, slope > quantile * error));
  }

  private double area(double[] areaBefore, double time) {
    int slice = (int) Math.min(SLICES - 1, time / seconds);
    double share = time / seconds - slice;
    return areaBefore[slice] + share * (areaBefore[slice + 1] - areaBefore[slice]);
  }
}
