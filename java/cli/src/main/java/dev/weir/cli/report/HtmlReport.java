package dev.weir.cli.report;

import dev.weir.cli.bench.IterationSample;
import dev.weir.cli.bench.RequestOutcome;
import dev.weir.cli.bench.RunResult;
import dev.weir.simulation.metrics.Metrics;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;

/** A {@link Report} as one HTML page that needs nothing else. */
public final class HtmlReport {
  /** Points of a time series that a chart 600 pixels wide can show. */
  private static final int MAX_POINTS = 1_500;

  /** Bars of a Gantt chart that a screen can show. */
  private static final int MAX_REQUESTS = 200;

  private HtmlReport() {}

  /** The whole page. */
  public static String render(Report report) {
    List<Metrics> metrics = report.runs().stream().map(ReportedRun::metrics).toList();
    Page page =
        new Page(
            report.title(),
            report.lead(),
            tiles(metrics),
            MetricsTable.rows(metrics),
            report.facts(),
            report.runs().getFirst().result().outcomes().size(),
            report.runs().stream().map(HtmlReport::run).toList(),
            report.stories(),
            report.storiesNote());
    return HtmlPage.render("report.html", page);
  }

  private static List<Tile> tiles(List<Metrics> runs) {
    return List.of(
        tile("Output tokens/s", runs, false, Metrics::outputTokensPerSecond, Format::number),
        tile("Evictions", runs, true, Metrics::evictions, value -> Format.count((long) value)),
        tile("Recomputed tokens", runs, true, Metrics::recomputedShare, Format::percent),
        tile("TTFT p50, ms", runs, true, m -> m.timeToFirstToken().p50(), Format::milliseconds),
        tile("ITL p99, ms", runs, true, m -> m.interTokenLatency().p99(), Format::milliseconds),
        tile("E2E p50, ms", runs, true, m -> m.endToEnd().p50(), Format::milliseconds));
  }

  private interface DoubleText {
    String of(double value);
  }

  private static Tile tile(
      String label,
      List<Metrics> runs,
      boolean lessIsBetter,
      ToDoubleFunction<Metrics> value,
      DoubleText text) {
    int best = -1;
    if (runs.size() > 1 && runs.stream().mapToDouble(value).distinct().count() > 1) {
      for (int i = 0; i < runs.size(); i++) {
        double candidate = value.applyAsDouble(runs.get(i));
        double leader = best < 0 ? Double.NaN : value.applyAsDouble(runs.get(best));
        if (best < 0 || (lessIsBetter ? candidate < leader : candidate > leader)) {
          best = i;
        }
      }
    }
    Function<Metrics, String> cell = m -> text.of(value.applyAsDouble(m));
    return new Tile(label, runs.stream().map(cell).toList(), best);
  }

  private static Run run(ReportedRun reported) {
    RunResult run = reported.result();
    Metrics metrics = reported.metrics();
    List<Eviction> evictions = new ArrayList<>();
    for (IterationSample sample : run.iterations()) {
      if (sample.evictions() > 0) {
        evictions.add(new Eviction(seconds(sample.time()), sample.evictions()));
      }
    }
    int evicted = (int) run.outcomes().stream().filter(o -> o.evictions() > 0).count();
    return new Run(
        run.scheduler() + (run.schedulerOptions().isEmpty() ? "" : " " + run.schedulerOptions()),
        Format.count(metrics.evictions())
            + (metrics.evictions() == 1 ? " eviction, " : " evictions, ")
            + Format.percent(metrics.kvMean())
            + " of the pool used on average, "
            + Format.percent(metrics.kvPeak())
            + " at the peak",
        Format.count(evicted)
            + " of "
            + Format.count(run.outcomes().size())
            + " requests evicted at least once",
        seconds(run.nanoseconds()),
        run.kvBlocks() * run.blockSize(),
        boxed(reported.bufferTokens()),
        boxed(reported.equilibriumTokens()),
        timeline(run),
        evictions,
        run.outcomes().stream().limit(MAX_REQUESTS).map(o -> bar(o)).toList());
  }

  /**
   * Keeps, of each equal slice of time, the iterations with the fewest and the most blocks in use.
   */
  private static Timeline timeline(RunResult run) {
    List<IterationSample> all = run.iterations();
    List<IterationSample> kept = new ArrayList<>();
    int slice = Math.max(1, (int) Math.ceil(2.0 * all.size() / MAX_POINTS));
    for (int from = 0; from < all.size(); from += slice) {
      IterationSample least = all.get(from);
      IterationSample most = all.get(from);
      for (IterationSample sample : all.subList(from, Math.min(all.size(), from + slice))) {
        least = sample.usedBlocks() < least.usedBlocks() ? sample : least;
        most = sample.usedBlocks() > most.usedBlocks() ? sample : most;
      }
      kept.add(least.time() <= most.time() ? least : most);
      if (least != most) {
        kept.add(least.time() <= most.time() ? most : least);
      }
    }
    return new Timeline(
        kept.stream().mapToDouble(s -> seconds(s.time())).toArray(),
        kept.stream().mapToLong(s -> s.usedBlocks() * run.blockSize()).toArray(),
        kept.stream().mapToInt(IterationSample::running).toArray(),
        kept.stream().mapToInt(IterationSample::waiting).toArray());
  }

  private static Bar bar(RequestOutcome outcome) {
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
    return new Bar(
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

  /** Microseconds are enough for a chart, and keep the page small. */
  private static double seconds(long nanoseconds) {
    return Math.rint(nanoseconds / 1e3) / 1e6;
  }

  // What the page's script reads.

  private record Page(
      String title,
      String lead,
      List<Tile> tiles,
      List<MetricsTable.Row> rows,
      List<Fact> facts,
      int requests,
      List<Run> runs,
      List<Story> stories,
      String storiesNote) {}

  private record Tile(String label, List<String> values, int best) {}

  private record Run(
      String name,
      String text,
      String ganttText,
      double seconds,
      long capacityTokens,
      Double bufferTokens,
      Double equilibriumTokens,
      Timeline timeline,
      List<Eviction> evictions,
      List<Bar> requests) {}

  private record Timeline(double[] t, long[] used, int[] running, int[] waiting) {}

  private record Eviction(double t, int n) {}

  private record Bar(
      int index,
      double arrival,
      double scheduled,
      Double firstToken,
      Double end,
      List<double[]> evicted) {}
}
