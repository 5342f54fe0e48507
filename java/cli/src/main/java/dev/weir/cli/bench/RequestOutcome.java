package dev.weir.cli.bench;

/**
 * One request of a run, as it went. Times in nanoseconds since the start of the run; {@link #NEVER}
 * for what did not happen. The arrays are not copied: whoever makes an outcome gives them away.
 *
 * @param index position in the workload, from 0
 * @param promptTokens length of the prompt
 * @param requestedTokens output tokens asked for
 * @param arrival when the request was due. The engine may get it later, if the submission of others
 *     took long; whoever waits for an answer waits from here on
 * @param firstScheduled when it first entered the KV cache
 * @param tokenTimes when each output token was there, ascending
 * @param end when it ended; equal to {@code arrival} for a refused request
 * @param finish why it ended ({@code LENGTH}, {@code STOP}, ..., or {@link #FAILED}), or why it was
 *     refused ({@code QUEUE_FULL}, ...)
 * @param refused whether it was refused
 * @param evictionTimes when it lost its KV blocks, ascending
 * @param recomputedTokens tokens computed again because of that
 * @param ids the generated tokens; empty if it was refused or failed
 * @param text the generated text; empty if it was refused or failed
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
    long[] evictionTimes,
    long recomputedTokens,
    int[] ids,
    String text) {
  /** Stands for the time of something that did not happen. */
  public static final long NEVER = -1;

  /** The request was accepted, and the batch that it was part of failed. */
  public static final String FAILED = "FAILED";

  /** A request that nothing was done for. */
  static RequestOutcome refused(int index, TimedRequest request, long arrival, String reason) {
    return without(index, request, request.promptTokens(), arrival, arrival, reason, true);
  }

  /** A request whose batch failed at {@code end}; its tokens are lost. */
  static RequestOutcome failed(
      int index, TimedRequest request, int promptTokens, long arrival, long end) {
    return without(index, request, promptTokens, arrival, end, FAILED, false);
  }

  private static RequestOutcome without(
      int index,
      TimedRequest request,
      int promptTokens,
      long arrival,
      long end,
      String finish,
      boolean refused) {
    return new RequestOutcome(
        index,
        promptTokens,
        request.outputTokens(),
        arrival,
        NEVER,
        new long[0],
        end,
        finish,
        refused,
        new long[0],
        0,
        new int[0],
        "");
  }

  /** Whether the whole answer is there. */
  public boolean finished() {
    return finish.equals("STOP") || finish.equals("LENGTH");
  }

  /** Output tokens. */
  public int outputTokens() {
    return tokenTimes.length;
  }

  /** Times it lost its KV blocks. */
  public int evictions() {
    return evictionTimes.length;
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
    return (endToEnd() - timeToFirstToken()) / (tokenTimes.length - 1);
  }
}
