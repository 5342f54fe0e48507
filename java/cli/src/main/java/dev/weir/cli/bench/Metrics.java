package dev.weir.cli.bench;

import dev.weir.scheduling.HoldReason;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.LongStream;
import java.util.stream.Stream;

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
 *     the arrival window; NaN if all requests came at once
 * @param requestsPerSecond finished requests over {@code seconds}
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
    double kvPeak) {

  /**
   * Condenses a run.
   *
   * @param exactLengths whether the requests asked for exact output lengths, so that a shorter one
   *     counts as clipped
   */
  public static Metrics of(RunResult run, boolean exactLengths) {
    List<RequestOutcome> finished =
        run.outcomes().stream().filter(RequestOutcome::finished).toList();
    Map<String, Integer> refused = new TreeMap<>();
    Map<String, Integer> unfinished = new TreeMap<>();
    for (RequestOutcome outcome : run.outcomes()) {
      if (outcome.refused()) {
        refused.merge(outcome.finish(), 1, Integer::sum);
      } else if (!outcome.finished()) {
        unfinished.merge(outcome.finish(), 1, Integer::sum);
      }
    }
    double seconds = run.nanoseconds() / 1e9;
    long promptTokens = finished.stream().mapToLong(RequestOutcome::promptTokens).sum();
    long outputTokens = finished.stream().mapToLong(RequestOutcome::outputTokens).sum();
    long recomputed = run.outcomes().stream().mapToLong(RequestOutcome::recomputedTokens).sum();
    long windowTokens =
        run.outcomes().stream()
            .flatMapToLong(outcome -> LongStream.of(outcome.tokenTimes()))
            .filter(time -> time <= run.window())
            .count();
    long busy = run.iterations().stream().mapToLong(IterationSample::duration).sum();
    return new Metrics(
        run.outcomes().size(),
        finished.size(),
        exactLengths
            ? (int) finished.stream().filter(o -> o.outputTokens() < o.requestedTokens()).count()
            : 0,
        refused,
        unfinished,
        seconds,
        promptTokens,
        outputTokens,
        promptTokens / seconds,
        outputTokens / seconds,
        run.window() > 0 ? windowTokens * 1e9 / run.window() : Double.NaN,
        finished.size() / seconds,
        Percentiles.of(withTokens(finished, 1).mapToLong(RequestOutcome::timeToFirstToken)),
        Percentiles.of(withTokens(finished, 2).mapToLong(RequestOutcome::timePerOutputToken)),
        Percentiles.of(finished.stream().flatMapToLong(o -> gaps(o.tokenTimes()))),
        Percentiles.of(finished.stream().mapToLong(RequestOutcome::endToEnd)),
        run.iterations().size(),
        Math.clamp(1 - busy / (double) run.nanoseconds(), 0, 1),
        run.outcomes().stream().mapToLong(RequestOutcome::evictions).sum(),
        new TreeMap<>(run.holds()),
        recomputed,
        recomputed / (double) (promptTokens + outputTokens),
        kvMean(run),
        run.iterations().stream().mapToLong(IterationSample::usedBlocks).max().orElse(0)
            / (double) run.kvBlocks());
  }

  private static Stream<RequestOutcome> withTokens(List<RequestOutcome> outcomes, int tokens) {
    return outcomes.stream().filter(outcome -> outcome.outputTokens() >= tokens);
  }

  private static LongStream gaps(long[] times) {
    return LongStream.range(1, times.length).map(i -> times[(int) i] - times[(int) i - 1]);
  }

  /** While an iteration runs, its blocks are in use; between two, those that the first one left. */
  private static double kvMean(RunResult run) {
    double blockTime = 0;
    long previousTime = 0;
    long previousBlocks = 0;
    for (IterationSample sample : run.iterations()) {
      long busy = Math.min(sample.duration(), sample.time() - previousTime);
      blockTime += (double) sample.usedBlocks() * busy;
      blockTime += (double) previousBlocks * (sample.time() - previousTime - busy);
      previousTime = sample.time();
      previousBlocks = sample.blocksAfter();
    }
    blockTime += (double) previousBlocks * Math.max(0, run.nanoseconds() - previousTime);
    return blockTime / ((double) run.kvBlocks() * run.nanoseconds());
  }
}
