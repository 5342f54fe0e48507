package dev.weir.scheduling;

/**
 * How large one iteration may be.
 *
 * @param maxSequences sequences in one iteration, at least 1
 * @param maxTokens tokens in one iteration (prefill and decode together), at least 1
 */
public record BatchLimits(int maxSequences, int maxTokens) {
  public BatchLimits {
    if (maxSequences < 1) {
      throw new IllegalArgumentException(
          "maxSequences is " + maxSequences + ", must be at least 1");
    }
    if (maxTokens < 1) {
      throw new IllegalArgumentException("maxTokens is " + maxTokens + ", must be at least 1");
    }
  }
}
