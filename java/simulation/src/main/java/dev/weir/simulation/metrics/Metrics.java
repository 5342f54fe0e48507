package dev.weir.simulation.metrics;

import dev.weir.scheduling.HoldReason;
import java.util.Map;
import java.util.Optional;

/**
 * The figures of a run. Rates count the tokens of requests that finished; a recomputed token is
 * work, not throughput.
 *
 * @param requests requests of the workload that were submitted
 * @param finished those that ended with {@code STOP} or {@code LENGTH}
 * @param clipped finished ones that ended before the output length that a benchmark asked for
 * @param refused how many the engine refused, by reason
 * @param unfinished how many were accepted but did not finish, by reason
 * @param seconds from the start of the run to the end of the last request
 * @param promptTokens prompt tokens of finished requests
 * @param outputTokens output tokens of finished requests
 * @param promptTokensPerSecond over {@code seconds}
 * @param outputTokensPerSecond over {@code seconds}
 * @param windowOutputTokensPerSecond output tokens that were there before the last arrival, over
 *     the arrival window without the warm-up; NaN if all requests came at once
 * @param requestsPerSecond finished requests over {@code seconds}
 * @param goodput requests that ended in the arrival window, after the warm-up, and met every {@link
 *     ServiceObjectives objective}, over that time; NaN without objectives or if all requests came
 *     at once
 * @param backlog whether the number of requests in the system grows; empty if all requests came at
 *     once
 * @param timeToFirstToken TTFT, from the time at which the request was due: a request that is
 *     submitted late has waited
 * @param timePerOutputToken TPOT, {@code (E2E - TTFT) / (n - 1)}, of requests with at least two
 *     tokens
 * @param interTokenLatency ITL, every gap between two tokens of a request
 * @param endToEnd E2E, from the time at which the request was due
 * @param iterations iterations of the engine
 * @param idleShare share of {@code seconds} in which no step ran
 * @param evictions requests evicted, in all
 * @param holds how often a request was not scheduled in an iteration, by reason
 * @param recomputedTokens tokens computed again after evictions
 * @param recomputedShare recomputed tokens over the prompt and output tokens of finished requests
 * @param kvMean mean share of the KV blocks in use, weighted by time
 * @param kvPeak highest share of the KV blocks in use
 */
public record Metrics(
    int requests,
    int finished,
    int clipped,
    Map<String, Integer> refused,
    Map<String, Integer> unfinished,
    double seconds,
    long promptTokens,
    long outputTokens,
    double promptTokensPerSecond,
    double outputTokensPerSecond,
    double windowOutputTokensPerSecond,
    double requestsPerSecond,
    double goodput,
    Optional<BacklogTrend> backlog,
    Percentiles timeToFirstToken,
    Percentiles timePerOutputToken,
    Percentiles interTokenLatency,
    Percentiles endToEnd,
    int iterations,
    double idleShare,
    long evictions,
    Map<HoldReason, Long> holds,
    long recomputedTokens,
    double recomputedShare,
    double kvMean,
    double kvPeak) {}
