package dev.weir.engine;

import java.time.Duration;

/**
 * When things happened to a request, from {@link Engine#submit} on. The gaps between tokens (ITL)
 * follow from {@link GeneratedToken#nanoTime()}.
 *
 * @param queueTime until the first iteration that computed a part of the prompt; {@code endToEnd}
 *     if there was none
 * @param timeToFirstToken until the first token (TTFT); {@code endToEnd} if there was none
 * @param endToEnd until the end of the generation (E2E)
 * @param timePerOutputToken {@code (endToEnd - timeToFirstToken) / (n - 1)} for {@code n} tokens
 *     (TPOT); zero for fewer than two
 * @param submittedNanoTime {@link System#nanoTime()} at submission
 */
public record GenerationTimings(
    Duration queueTime,
    Duration timeToFirstToken,
    Duration endToEnd,
    Duration timePerOutputToken,
    long submittedNanoTime) {

  /**
   * @param tokens generated tokens
   */
  static GenerationTimings of(ActiveRequest request, int tokens, long endNanos) {
    Duration endToEnd = Duration.ofNanos(endNanos - request.submittedNanos);
    Duration queueTime =
        request.started
            ? Duration.ofNanos(request.startedNanos - request.submittedNanos)
            : endToEnd;
    Duration timeToFirstToken =
        tokens > 0 ? Duration.ofNanos(request.firstTokenNanos - request.submittedNanos) : endToEnd;
    Duration timePerOutputToken =
        tokens > 1 ? endToEnd.minus(timeToFirstToken).dividedBy(tokens - 1) : Duration.ZERO;
    return new GenerationTimings(
        queueTime, timeToFirstToken, endToEnd, timePerOutputToken, request.submittedNanos);
  }
}
