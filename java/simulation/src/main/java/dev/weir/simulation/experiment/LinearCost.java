package dev.weir.simulation.experiment;

import dev.weir.simulation.BatchShape;
import dev.weir.simulation.IterationTime;

/**
 * A line in the tokens of the batch and in the tokens that are prefilled: 12 ms, 0.15 us for each
 * token in the cache and 80 us for each token of a prompt. About an A100 with a 7B model; chosen so
 * that the throughput of the policies without evictions in section 5 of {@code scheduling.md} comes
 * out.
 */
final class LinearCost {
  static final String TEXT = "12 ms + 0.15 us a cached token + 80 us a prefilled token";

  private static final double FIXED_SECONDS = 0.012;
  private static final double SECONDS_PER_TOKEN = 1.5e-7;
  private static final double SECONDS_PER_PREFILL_TOKEN = 8e-5;

  /** The line. */
  static final IterationTime LINE = LinearCost::seconds;

  private LinearCost() {}

  private static double seconds(BatchShape batch) {
    return FIXED_SECONDS
        + SECONDS_PER_TOKEN * batch.context()
        + SECONDS_PER_PREFILL_TOKEN * batch.prefillTokens();
  }
}
