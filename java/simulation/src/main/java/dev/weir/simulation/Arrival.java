package dev.weir.simulation;

/**
 * One request of a workload: when it comes and how long it is.
 *
 * @param seconds time of arrival after the start, finite and at least 0
 * @param promptTokens length of the prompt in tokens, at least 1
 * @param outputTokens length of the output in tokens, at least 1
 */
public record Arrival(double seconds, int promptTokens, int outputTokens) {
  /** Checks the ranges. */
  public Arrival {
    if (!(seconds >= 0) || Double.isInfinite(seconds)) {
      throw new IllegalArgumentException(
          "arrival time is " + seconds + " s, must be finite and at least 0");
    }
    if (promptTokens < 1) {
      throw new IllegalArgumentException(
          "promptTokens is " + promptTokens + ", must be at least 1");
    }
    if (outputTokens < 1) {
      throw new IllegalArgumentException(
          "outputTokens is " + outputTokens + ", must be at least 1");
    }
  }

  /** Prompt and output together. */
  public long totalTokens() {
    return (long) promptTokens + outputTokens;
  }
}
