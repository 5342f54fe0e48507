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
 * @param timePerOutputToken mean time between tokens after the first (TPOT); zero for fewer than
 *     two tokens
 * @param submittedNanoTime {@link System#nanoTime()} at submission
 */
public record GenerationTimings(
    Duration queueTime,
    Duration timeToFirstToken,
    Duration endToEnd,
    Duration timePerOutputToken,
    long submittedNanoTime) {}
