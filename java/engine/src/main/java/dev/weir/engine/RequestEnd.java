package dev.weir.engine;

import java.util.Optional;

/**
 * The end of a request.
 *
 * @param request {@link Generation#id()}
 * @param time when, in seconds since the engine was started
 * @param outputTokens tokens that it got
 * @param reason why; empty if it failed
 */
public record RequestEnd(
    long request, double time, int outputTokens, Optional<FinishReason> reason) {}
