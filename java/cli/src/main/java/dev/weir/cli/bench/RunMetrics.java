package dev.weir.cli.bench;

import dev.weir.simulation.metrics.BacklogSeries;
import dev.weir.simulation.metrics.BacklogTrend;
import dev.weir.simulation.metrics.Metrics;
import dev.weir.simulation.metrics.Percentiles;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.LongStream;
import java.util.stream.Stream;

/** Condenses what the live engine did. */
public final class RunMetrics {
  private RunMetrics() {}

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
        Double.NaN,
        backlog(run),
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

  /** A refused request was never in the system. */
  private static Optional<BacklogTrend> backlog(RunResult run) {
    BacklogSeries series = new BacklogSeries();
    for (RequestOutcome outcome : run.outcomes()) {
      if (!outcome.refused()) {
        series.add(outcome.arrival() / 1e9, 1);
        series.add(outcome.end() / 1e9, -1);
      }
    }
    return series.trend(0, run.window() / 1e9);
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
