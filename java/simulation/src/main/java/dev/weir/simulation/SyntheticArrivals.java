package dev.weir.simulation;

import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.function.DoubleSupplier;
import java.util.random.RandomGenerator;

/**
 * Requests drawn from distributions, one at a time: the gap before it, its prompt, its output. The
 * same seed gives the same requests.
 */
public final class SyntheticArrivals implements Iterator<Arrival> {
  private final DoubleSupplier gaps;
  private final LengthDistribution promptTokens;
  private final LengthDistribution outputTokens;
  private final RandomGenerator random;
  private long left;
  private double seconds;

  /**
   * @param count number of requests, at least 0
   * @param random used for everything, and by nobody else
   */
  public SyntheticArrivals(
      long count,
      ArrivalProcess process,
      LengthDistribution promptTokens,
      LengthDistribution outputTokens,
      RandomGenerator random) {
    if (count < 0) {
      throw new IllegalArgumentException("count is " + count + ", must be at least 0");
    }
    this.left = count;
    this.gaps = process.start(random);
    this.promptTokens = promptTokens;
    this.outputTokens = outputTokens;
    this.random = random;
  }

  @Override
  public boolean hasNext() {
    return left > 0;
  }

  @Override
  public Arrival next() {
    if (left == 0) {
      throw new NoSuchElementException();
    }
    left--;
    seconds += gaps.getAsDouble();
    return new Arrival(seconds, promptTokens.sample(random), outputTokens.sample(random));
  }
}
