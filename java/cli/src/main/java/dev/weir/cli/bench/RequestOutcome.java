package dev.weir.cli.bench;

/**
 * One request of a run, as it went. Times in nanoseconds since the start of the run; {@link #NEVER}
 * for what did not happen. The arrays are not copied: whoever makes an outcome gives them away.
 *
 * @param index position in the workload, from 0
 * @param promptTokens length of the prompt
 * @param requestedTokens output tokens asked for
 * @param arrival when the request was handed to the engine
 * @param firstScheduled when it first entered the KV cache
 * @param tokenTimes when each output token was there, ascending
 * @param end when it ended; equal to {@code arrival} for a refused request
 * @param finish why it ended ({@code LENGTH}, {@code STOP}, ...), or why it was refused ({@code
 *     QUEUE_FULL}, ...)
 * @param refused whether the engine refused it
 * @param evictions times it lost its KV blocks
 * @param evictionTimes when that was, ascending, as far as it can be told
 * @param recomputedTokens tokens computed again because of that
 * @param text the generated text; empty if it was refused
 */
public record RequestOutcome(
    int index,
    int promptTokens,
    int requestedTokens,
    long arrival,
    long firstScheduled,
    long[] tokenTimes,
    long end,
    String finish,
    boolean refused,
    int evictions,
    long[] evictionTimes,
    long recomputedTokens,
    String text) {
  /** Stands for the time of something that did not happen. */
  public static final long NEVER = -1;

  /** Output tokens. */
  public int outputTokens() {
    return tokenTimes.length;
  }

  /** From arrival to the first token, in nanoseconds. Needs a token. */
  long timeToFirstToken() {
    return tokenTimes[0] - arrival;
  }

  /** From arrival to the end, in nanoseconds. */
  long endToEnd() {
    return end - arrival;
  }

  /** {@code (E2E - TTFT) / (n - 1)} in nanoseconds. Needs two tokens. */
  long timePerOutputToken() {
    return (tokenTimes[tokenTimes.length - 1] - tokenTimes[0]) / (tokenTimes.length - 1);
  }
}
