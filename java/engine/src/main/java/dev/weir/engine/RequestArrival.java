package dev.weir.engine;

/**
 * A request that an {@link Engine} has accepted.
 *
 * @param request {@link Generation#id()}
 * @param time when it was submitted, in seconds since the engine was started
 * @param promptTokens tokens of its prompt
 * @param maxTokens the most tokens that it may get
 */
public record RequestArrival(long request, double time, int promptTokens, int maxTokens) {}
