package dev.weir.simulation.measured;

import dev.weir.simulation.BatchShape;
import dev.weir.simulation.IterationTime;
import dev.weir.simulation.MeasuredIterationTime;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * The model of {@link MeasuredIterationTime} that is closest to measured batches, and how far it is
 * from each region of them.
 *
 * <p>Closest is the least sum of squares of the relative errors of the medians, with no part of the
 * model negative and its {@code f} not falling. So a batch of a millisecond counts as much as one
 * of a second. {@code f} has a knot at each number of tokens that a fitted batch without a mixture
 * computed.
 *
 * @param time the model
 * @param fitted how far it is from the batches that it was made from; no entry where there are none
 * @param heldOut how far it is from the batches that it did not see
 */
public record IterationTimeFit(
    MeasuredIterationTime time, Map<Region, Residual> fitted, Map<Region, Residual> heldOut) {
  /** The fixed part must be greater than 0. */
  private static final double LEAST_SECONDS = 1e-9;

  /**
   * Relative errors {@code (predicted - measured) / measured} over some batches.
   *
   * @param batches how many
   * @param median of their absolute values
   * @param worst the largest absolute value
   * @param bias mean of the errors: greater than 0 where the model is too slow
   * @param worstBatch the batch of {@code worst}
   */
  public record Residual(
      int batches, double median, double worst, double bias, String worstBatch) {}

  /**
   * Fits the model.
   *
   * @param device what was measured, as {@link MeasuredIterationTime} names it
   * @param model what ran on it
   * @throws IllegalArgumentException if no batch to fit decodes only or prefills only
   */
  public static IterationTimeFit of(String device, String model, List<BatchSample> samples) {
    List<BatchSample> fitted = samples.stream().filter(sample -> !sample.heldOut()).toList();
    int[] knots =
        fitted.stream()
            .filter(sample -> sample.region() != Region.MIXED)
            .mapToInt(sample -> sample.shape().tokens())
            .distinct()
            .sorted()
            .toArray();
    if (knots.length == 0) {
      throw new IllegalArgumentException(
          "there is no batch to fit whose requests all decode or all prefill");
    }
    double[][] rows = new double[fitted.size()][];
    double[] ones = new double[fitted.size()];
    for (int i = 0; i < rows.length; i++) {
      BatchSample sample = fitted.get(i);
      double weight = 1 / sample.median();
      rows[i] = row(sample.shape(), knots);
      for (int column = 0; column < rows[i].length; column++) {
        rows[i][column] *= weight;
      }
      ones[i] = 1;
    }
    double[] parts = NonNegativeLeastSquares.solve(rows, ones);
    double[] seconds = new double[knots.length];
    seconds[0] = Math.max(parts[0], LEAST_SECONDS);
    for (int i = 1; i < knots.length; i++) {
      seconds[i] = seconds[i - 1] + parts[i];
    }
    double context = parts[knots.length];
    double pair = parts[knots.length + 1];
    MeasuredIterationTime time =
        MeasuredIterationTime.of(device, model, knots, seconds, context, pair);
    return new IterationTimeFit(
        time,
        residuals(fitted, time),
        residuals(samples.stream().filter(BatchSample::heldOut).toList(), time));
  }

  /**
   * How a batch depends on the unknowns: {@code f} at the first knot, its growth to each next knot,
   * and the two coefficients.
   */
  private static double[] row(BatchShape batch, int[] knots) {
    double[] row = new double[knots.length + 2];
    row[0] = 1;
    int last = knots.length - 1;
    for (int i = 1; i <= last; i++) {
      double share = (batch.tokens() - knots[i - 1]) / (double) (knots[i] - knots[i - 1]);
      row[i] = Math.max(0, i == last ? share : Math.min(1, share));
    }
    row[knots.length] = batch.decodeContext();
    row[knots.length + 1] = batch.prefillPairs();
    return row;
  }

  private static Map<Region, Residual> residuals(List<BatchSample> samples, IterationTime time) {
    Map<Region, Residual> residuals = new EnumMap<>(Region.class);
    for (Region region : Region.values()) {
      List<BatchSample> some = samples.stream().filter(s -> s.region() == region).toList();
      if (!some.isEmpty()) {
        residuals.put(region, residual(some, time));
      }
    }
    return residuals;
  }

  private static Residual residual(List<BatchSample> samples, IterationTime time) {
    List<Double> sizes = new ArrayList<>();
    double sum = 0;
    double worst = -1;
    String worstBatch = "";
    for (BatchSample sample : samples) {
      double error = error(sample, time);
      sizes.add(Math.abs(error));
      sum += error;
      if (Math.abs(error) > worst) {
        worst = Math.abs(error);
        worstBatch = sample.description();
      }
    }
    double[] sorted = sizes.stream().mapToDouble(Double::doubleValue).sorted().toArray();
    int middle = sorted.length / 2;
    double median =
        sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    return new Residual(samples.size(), median, worst, sum / samples.size(), worstBatch);
  }

  /** Relative error of the prediction of one batch. */
  public static double error(BatchSample sample, IterationTime time) {
    double measured = sample.median();
    return (time.seconds(sample.shape()) - measured) / measured;
  }
}
