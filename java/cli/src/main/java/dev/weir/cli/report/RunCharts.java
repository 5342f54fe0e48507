package dev.weir.cli.report;

import dev.weir.cli.bench.IterationSample;
import dev.weir.cli.bench.RequestOutcome;
import dev.weir.cli.bench.RunResult;
import dev.weir.simulation.metrics.Metrics;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;

/** Turns runs of the live engine into what the page shows of them. */
final class RunCharts {
  private RunCharts() {}

  static RunChart of(ReportedRun reported) {
    RunResult run = reported.result();
    TimelineBuilder timeline = new TimelineBuilder();
    for (IterationSample sample : run.iterations()) {
      timeline.add(
          seconds(sample.time()),
          sample.usedBlocks() * run.blockSize(),
          sample.running(),
          sample.waiting(),
          sample.evictions());
    }
    long evicted = run.outcomes().stream().filter(o -> o.evictions() > 0).count();
    return new RunChart(
        run.scheduler() + (run.schedulerOptions().isEmpty() ? "" : " " + run.schedulerOptions()),
        memoryText(reported.metrics()),
        evictedText(evicted, run.outcomes().size()),
        seconds(run.nanoseconds()),
        run.kvBlocks() * run.blockSize(),
        boxed(reported.bufferTokens()),
        boxed(reported.equilibriumTokens()),
        timeline.timeline(),
        timeline.evictions(),
        run.outcomes().stream().limit(RunChart.MAX_REQUESTS).map(RunCharts::bar).toList(),
        List.of(),
        HoldText.of(run.holds()),
        null);
  }

  /** Evictions and use of the pool in one sentence. */
  static String memoryText(Metrics metrics) {
    return Format.count(metrics.evictions())
        + (metrics.evictions() == 1 ? " eviction, " : " evictions, ")
        + Format.percent(metrics.kvMean())
        + " of the pool used on average, "
        + Format.percent(metrics.kvPeak())
        + " at the peak";
  }

  /** How many requests were evicted, in one sentence. */
  static String evictedText(long evicted, long requests) {
    return Format.count(evicted)
        + " of "
        + Format.count(requests)
        + " requests evicted at least once";
  }

  private static RunChart.Bar bar(RequestOutcome outcome) {
    List<double[]> evicted = new ArrayList<>();
    for (long from : outcome.evictionTimes()) {
      long until = outcome.end();
      for (long token : outcome.tokenTimes()) {
        if (token > from) {
          until = token;
          break;
        }
      }
      evicted.add(new double[] {seconds(from), seconds(until)});
    }
    boolean admitted = outcome.firstScheduled() != RequestOutcome.NEVER;
    boolean answered = outcome.outputTokens() > 0;
    return new RunChart.Bar(
        outcome.index(),
        seconds(outcome.arrival()),
        admitted ? seconds(outcome.firstScheduled()) : seconds(outcome.end()),
        admitted ? seconds(answered ? outcome.tokenTimes()[0] : outcome.end()) : null,
        answered ? seconds(outcome.end()) : null,
        evicted);
  }

  private static Double boxed(OptionalDouble value) {
    return value.isPresent() ? value.getAsDouble() : null;
  }

  private static double seconds(long nanoseconds) {
    return TimelineBuilder.microseconds(nanoseconds / 1e9);
  }
}
