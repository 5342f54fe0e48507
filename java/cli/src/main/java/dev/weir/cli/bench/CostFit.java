package dev.weir.cli.bench;

import dev.weir.scheduling.IterationCost;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The line {@code d0 + d1 * tokens} through measured iterations. Whatever disturbs an iteration,
 * such as another program on the machine, makes it longer and never shorter, and most iterations of
 * a run have about the same size. So the iterations are first sorted into {@value #SIZES} equal
 * ranges of size; each range counts once, with the lower quartile of its durations. Through these
 * goes the line with the least squares of the relative errors, so that the short iterations, which
 * tell the fixed part, count as much as the long ones.
 *
 * @param cost the line; {@code d1} is 0 where the measurement would make it negative, and {@code
 *     d0} is at least {@value #SMALLEST_FIXED_SHARE} of the shortest size
 * @param samples number of iterations
 * @param sizes number of sizes that the line goes through
 * @param relativeResidual median distance of a size from the line, over its duration: how far a
 *     straight line is from the truth
 * @param fixedPartAssumed whether {@code d0} is that smallest share, because the measured one was
 *     less: a cost that grows about in proportion to the tokens, or a very busy machine
 */
public record CostFit(
    IterationCost cost, int samples, int sizes, double relativeResidual, boolean fixedPartAssumed) {
  private static final int SIZES = 16;

  /** A size that was seen less often tells more about chance than about itself. */
  private static final int MIN_SAMPLES = 3;

  private static final double SMALLEST_FIXED_SHARE = 0.1;

  /** One range of sizes. */
  private record Size(double tokens, double seconds) {
    /** What a relative error counts. */
    double weight() {
      return 1 / (seconds * seconds);
    }
  }

  /**
   * Fits the line.
   *
   * @param tokens resident tokens of each iteration
   * @param seconds duration of each iteration, greater than 0
   * @throws IllegalArgumentException if there is no iteration
   */
  public static CostFit of(double[] tokens, double[] seconds) {
    if (seconds.length == 0) {
      throw new IllegalArgumentException("no iteration was measured");
    }
    List<Size> sizes = sizes(tokens, seconds, MIN_SAMPLES);
    if (sizes.size() < 2) {
      sizes = sizes(tokens, seconds, 1);
    }
    double smallestFixed =
        SMALLEST_FIXED_SHARE * sizes.stream().mapToDouble(Size::seconds).min().orElseThrow();
    IterationCost cost = leastSquares(sizes);
    boolean assumed = cost == null || cost.fixedSeconds() < smallestFixed;
    if (assumed) {
      cost = new IterationCost(smallestFixed, slope(sizes, smallestFixed));
    }
    double[] distances = new double[sizes.size()];
    for (int i = 0; i < distances.length; i++) {
      Size size = sizes.get(i);
      distances[i] = Math.abs(size.seconds() - cost.seconds(size.tokens())) / size.seconds();
    }
    return new CostFit(cost, seconds.length, sizes.size(), quantile(distances, 0.5), assumed);
  }

  private static List<Size> sizes(double[] tokens, double[] seconds, int minSamples) {
    double least = Arrays.stream(tokens).min().orElseThrow();
    double range = Arrays.stream(tokens).max().orElseThrow() - least;
    List<List<Integer>> members = new ArrayList<>();
    for (int i = 0; i < SIZES; i++) {
      members.add(new ArrayList<>());
    }
    for (int i = 0; i < tokens.length; i++) {
      double position = range == 0 ? 0 : (tokens[i] - least) / range;
      members.get(Math.min(SIZES - 1, (int) (position * SIZES))).add(i);
    }
    return members.stream()
        .filter(indices -> indices.size() >= minSamples)
        .map(
            indices ->
                new Size(
                    quantile(indices.stream().mapToDouble(i -> tokens[i]).toArray(), 0.5),
                    quantile(indices.stream().mapToDouble(i -> seconds[i]).toArray(), 0.25)))
        .toList();
  }

  /** Null if the line starts at or below zero. */
  private static IterationCost leastSquares(List<Size> sizes) {
    double weight = sizes.stream().mapToDouble(Size::weight).sum();
    double meanTokens = sizes.stream().mapToDouble(s -> s.weight() * s.tokens()).sum() / weight;
    double meanSeconds = sizes.stream().mapToDouble(s -> s.weight() * s.seconds()).sum() / weight;
    double spread = 0;
    double product = 0;
    for (Size size : sizes) {
      double distance = size.tokens() - meanTokens;
      spread += size.weight() * distance * distance;
      product += size.weight() * distance * (size.seconds() - meanSeconds);
    }
    double slope = spread == 0 ? 0 : Math.max(0, product / spread);
    double fixed = meanSeconds - slope * meanTokens;
    return fixed > 0 ? new IterationCost(fixed, slope) : null;
  }

  /** The best slope of a line with this start. */
  private static double slope(List<Size> sizes, double fixed) {
    double product = 0;
    double spread = 0;
    for (Size size : sizes) {
      product += size.weight() * size.tokens() * (size.seconds() - fixed);
      spread += size.weight() * size.tokens() * size.tokens();
    }
    return product / spread;
  }

  /** By linear interpolation. Sorts the values. */
  private static double quantile(double[] values, double share) {
    Arrays.sort(values);
    double position = share * (values.length - 1);
    int below = (int) position;
    int above = Math.min(below + 1, values.length - 1);
    return values[below] + (position - below) * (values[above] - values[below]);
  }
}
