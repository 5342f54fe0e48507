package dev.weir.cli.bench;

import dev.weir.scheduling.IterationCost;
import java.util.Arrays;

/**
 * The line {@code d0 + d1 * tokens} through measured iterations, by the estimator of Theil and Sen:
 * the median of the slopes between any two iterations of very different size, which garbage
 * collections and other programs on the machine do not disturb.
 *
 * @param cost the line; {@code d1} is 0 where the measurement would make it negative
 * @param samples number of iterations
 * @param relativeResidual median distance of an iteration from the line, over the median duration:
 *     how far a straight line is from the truth
 */
public record CostFit(IterationCost cost, int samples, double relativeResidual) {
  /** Iterations that are compared with one another; the number of pairs grows with the square. */
  private static final int MAX_SAMPLES = 600;

  /**
   * Fits the line.
   *
   * @param tokens resident tokens of each iteration
   * @param seconds duration of each iteration, greater than 0
   * @throws IllegalArgumentException if there is no iteration
   */
  public static CostFit of(double[] tokens, double[] seconds) {
    int n = seconds.length;
    if (n == 0) {
      throw new IllegalArgumentException("no iteration was measured");
    }
    int stride = (n + MAX_SAMPLES - 1) / MAX_SAMPLES;
    double[] slopes = new double[MAX_SAMPLES * (MAX_SAMPLES - 1) / 2];
    // The slope between two iterations of nearly the same size is noise.
    double distance =
        (Arrays.stream(tokens).max().orElseThrow() - Arrays.stream(tokens).min().orElseThrow()) / 2;
    int count = 0;
    for (int i = 0; i < n; i += stride) {
      for (int j = i + stride; j < n; j += stride) {
        if (Math.abs(tokens[i] - tokens[j]) > distance) {
          slopes[count++] = (seconds[j] - seconds[i]) / (tokens[j] - tokens[i]);
        }
      }
    }
    double slope = count == 0 ? 0 : Math.max(0, median(Arrays.copyOf(slopes, count)));
    double[] rests = new double[n];
    for (int i = 0; i < n; i++) {
      rests[i] = seconds[i] - slope * tokens[i];
    }
    double intercept = median(rests);
    if (intercept <= 0) {
      // Steeper than proportional. A line through the origin has no fixed part, which the model
      // needs: keep a token's.
      for (int i = 0; i < n; i++) {
        rests[i] = seconds[i] / (tokens[i] + 1);
      }
      slope = median(rests);
      intercept = slope;
    }
    IterationCost cost = new IterationCost(intercept, slope);
    double[] distances = new double[n];
    for (int i = 0; i < n; i++) {
      distances[i] = Math.abs(seconds[i] - cost.seconds(tokens[i]));
    }
    return new CostFit(cost, n, median(distances) / median(seconds.clone()));
  }

  /** Sorts the values. */
  private static double median(double[] values) {
    Arrays.sort(values);
    int middle = values.length / 2;
    return values.length % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  }
}
