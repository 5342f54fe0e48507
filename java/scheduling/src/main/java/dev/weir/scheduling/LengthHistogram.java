package dev.weir.scheduling;

import java.util.Arrays;
import java.util.stream.IntStream;

/** The distribution of a length in tokens, as counts of observed lengths. Immutable. */
public final class LengthHistogram {
  private final int[] lengths;
  private final long[] atMost;
  private final long total;
  private final double mean;
  private final double standardDeviation;

  private LengthHistogram(int[] sorted) {
    total = sorted.length;
    lengths = IntStream.of(sorted).distinct().toArray();
    atMost = new long[lengths.length];
    int group = -1;
    double sum = 0;
    double squares = 0;
    for (int length : sorted) {
      if (group < 0 || lengths[group] != length) {
        group++;
        atMost[group] = group == 0 ? 0 : atMost[group - 1];
      }
      atMost[group]++;
      sum += length;
      squares += (double) length * length;
    }
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
    return new LengthHistogram(sorted);
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
