package dev.weir.scheduling;

import java.util.Arrays;
import java.util.stream.IntStream;

/** The distribution of a length in tokens, as counts of lengths. Immutable. */
public final class LengthHistogram {
  /** Into which weights are rounded. */
  private static final double PARTS = 1L << 40;

  private final int[] lengths;
  private final long[] atMost;
  private final long total;
  private final double mean;
  private final double standardDeviation;

  private LengthHistogram(int[] lengths, long[] counts) {
    this.lengths = lengths;
    atMost = new long[lengths.length];
    long count = 0;
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < lengths.length; i++) {
      count += counts[i];
      atMost[i] = count;
      sum += (double) counts[i] * lengths[i];
      squares += (double) counts[i] * lengths[i] * lengths[i];
    }
    total = count;
    mean = sum / total;
    standardDeviation = Math.sqrt(Math.max(0, squares / total - mean * mean));
  }

  /**
   * The empirical distribution of {@code samples}.
   *
   * @param samples lengths in tokens, at least one, each at least 1
   */
  public static LengthHistogram of(int... samples) {
    if (samples.length == 0) {
      throw new IllegalArgumentException("a length histogram needs at least one length");
    }
    int[] sorted = samples.clone();
    Arrays.sort(sorted);
    if (sorted[0] < 1) {
      throw new IllegalArgumentException("length " + sorted[0] + " must be at least 1");
    }
    int[] different = IntStream.of(sorted).distinct().toArray();
    long[] counts = new long[different.length];
    int group = 0;
    for (int length : sorted) {
      if (length != different[group]) {
        group++;
      }
      counts[group]++;
    }
    return new LengthHistogram(different, counts);
  }

  /**
   * The distribution in which {@code lengths[i]} has a probability in proportion to {@code
   * weights[i]}, but for one part in 10^12.
   *
   * @param lengths in tokens, at least one, each at least 1, in any order; one may come several
   *     times
   * @param weights as many, each finite and greater than 0
   */
  public static LengthHistogram weighted(int[] lengths, double[] weights) {
    if (lengths.length == 0 || lengths.length != weights.length) {
      throw new IllegalArgumentException(
          "there are "
              + lengths.length
              + " lengths and "
              + weights.length
              + " weights, must be as many and at least one");
    }
    double sum = 0;
    for (int i = 0; i < lengths.length; i++) {
      if (lengths[i] < 1) {
        throw new IllegalArgumentException("length " + lengths[i] + " must be at least 1");
      }
      if (!(weights[i] > 0) || Double.isInfinite(weights[i])) {
        throw new IllegalArgumentException(
            "weight " + weights[i] + " must be finite and greater than 0");
      }
      sum += weights[i];
    }
    int[] different = IntStream.of(lengths).sorted().distinct().toArray();
    long[] counts = new long[different.length];
    for (int i = 0; i < lengths.length; i++) {
      int group = Arrays.binarySearch(different, lengths[i]);
      counts[group] += Math.max(1, Math.round(weights[i] / sum * PARTS));
    }
    return new LengthHistogram(different, counts);
  }

  /** {@code P(length > x)}. */
  public double survival(int x) {
    int index = Arrays.binarySearch(lengths, x);
    int group = index >= 0 ? index : -index - 2;
    return group < 0 ? 1 : (double) (total - atMost[group]) / total;
  }

  /** The smallest length {@code x} with {@code P(length <= x) >= probability}. */
  public int quantile(double probability) {
    if (!(probability >= 0 && probability <= 1)) {
      throw new IllegalArgumentException("probability is " + probability + ", must be in 0..1");
    }
    long rank = Math.max(1, (long) Math.ceil(probability * total));
    int index = Arrays.binarySearch(atMost, rank);
    return lengths[index >= 0 ? index : -index - 1];
  }

  public double mean() {
    return mean;
  }

  public double standardDeviation() {
    return standardDeviation;
  }

  /** The longest observed length. */
  public int max() {
    return lengths[lengths.length - 1];
  }

  /** Number of different lengths, for iterating with {@link #length} and {@link #probability}. */
  public int size() {
    return lengths.length;
  }

  /** The {@code index}-th smallest different length. */
  public int length(int index) {
    return lengths[index];
  }

  /** Probability of {@link #length length(index)}. */
  public double probability(int index) {
    return (double) (atMost[index] - (index == 0 ? 0 : atMost[index - 1])) / total;
  }
}
