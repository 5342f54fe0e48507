package dev.weir.simulation;

/**
 * The totals of a simulation.
 *
 * @param arrived requests that went to the scheduler, all of which ended
 * @param refused requests that can never fit
 * @param iterations iterations
 * @param evictions evictions, of whatever kind
 * @param recomputedTokens cached tokens thrown away by evictions
 * @param firstArrival seconds; NaN if nothing arrived
 * @param lastArrival seconds; NaN if nothing arrived
 * @param end when the last iteration ended, in seconds
 * @param busySeconds sum of the durations of all iterations
 */
public record SimulationResult(
    long arrived,
    long refused,
    long iterations,
    long evictions,
    long recomputedTokens,
    double firstArrival,
    double lastArrival,
    double end,
    double busySeconds) {}
