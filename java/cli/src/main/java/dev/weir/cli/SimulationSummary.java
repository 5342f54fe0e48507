package dev.weir.cli;

import dev.weir.cli.report.Fact;
import dev.weir.cli.report.Format;
import dev.weir.cli.report.MetricsTable;
import dev.weir.cli.report.Report;
import dev.weir.cli.report.StabilityChart;
import dev.weir.simulation.SimulationSemantics;
import dev.weir.simulation.capacity.StableRegion;
import dev.weir.simulation.metrics.Metrics;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * What {@code weir simulate} did, to be shown as text or JSON.
 *
 * @param workload the load
 * @param seed seed of lengths and arrivals
 * @param iterationTime the model of the time of an iteration, as given
 * @param region which load the pool carries; planning schedulers were told its line
 * @param semantics whose rules held
 * @param runs one for each scheduler
 */
record SimulationSummary(
    WorkloadFacts workload,
    long seed,
    String iterationTime,
    StableRegion region,
    SimulationSemantics semantics,
    List<SimulatedRun> runs) {

  /** The facts and the table. */
  String text() {
    return FactText.above(
        facts(),
        MetricsTable.render(
            runs.stream().map(SimulatedRun::scheduler).toList(),
            runs.stream().map(SimulatedRun::metrics).toList()));
  }

  private List<Fact> facts() {
    List<Fact> facts = new ArrayList<>();
    facts.add(new Fact("simulated", "virtual time, semantics " + semanticsName()));
    facts.add(
        new Fact("workload", Format.count(workload.requests()) + " requests, " + workload.name()));
    if (workload.badRows() > 0) {
      facts.add(new Fact("bad rows", Format.count(workload.badRows()) + " left out of the trace"));
    }
    facts.add(new Fact("workload SHA-256", workload.sha256()));
    facts.add(new Fact("seed", Long.toString(seed)));
    facts.add(new Fact("KV pool", FactText.pool(region.memory())));
    facts.add(
        new Fact(
            "iterations",
            "at most " + Format.count(region.limits().maxSequences()) + " sequences"));
    facts.add(
        new Fact(
            "iteration time",
            String.format(
                Locale.ROOT,
                "%s; planned with %.3g ms + %.3g us a token in the batch",
                iterationTime,
                region.cost().fixedSeconds() * 1e3,
                region.cost().secondsPerToken() * 1e6)));
    facts.add(
        new Fact(
            "fluid model",
            "at most "
                + Format.significant(region.sustainableRate())
                + " requests/s, bound by "
                + region.bound()
                + (Double.isFinite(workload.rate())
                    ? "; " + Format.significant(workload.rate()) + " arrive"
                    : "; all arrive at once")));
    for (SimulatedRun run : runs) {
      if (!run.options().equals("{}")) {
        facts.add(new Fact(run.scheduler(), run.options()));
      }
    }
    return facts;
  }

  private String semanticsName() {
    return semantics.name().toLowerCase(Locale.ROOT);
  }

  /** Whoever is refused is refused under every scheduler. */
  private String served() {
    int finished = runs.getFirst().metrics().finished();
    String all = Format.count(workload.requests());
    return finished == workload.requests() ? all : Format.count(finished) + " of " + all;
  }

  /** The page; needs the charts of all runs. */
  Report report(StabilityChart stability) {
    String schedulers =
        runs.stream().map(SimulatedRun::scheduler).collect(Collectors.joining(" and "));
    return new Report(
        schedulers + " on " + workload.name(),
        served()
            + " requests served in virtual time from a KV pool of "
            + Format.count(region.memory().tokens())
            + " tokens.",
        facts(),
        runs.stream().map(run -> run.chart().orElseThrow()).toList(),
        runs.stream().map(SimulatedRun::metrics).toList(),
        stability,
        List.of(),
        "");
  }

  JsonSummary json() {
    return new JsonSummary(
        VersionProvider.version(),
        semanticsName(),
        region.sustainableRate(),
        new JsonWorkload(
            workload.name(), workload.requests(), workload.sha256(), seed, workload.badRows()),
        iterationTime,
        region.memory().blocks(),
        region.memory().blockSize(),
        region.limits().maxSequences(),
        runs.stream()
            .map(run -> new JsonRun(run.scheduler(), run.options(), run.refused(), run.metrics()))
            .toList());
  }

  /** What {@code --json} prints. Durations in seconds. */
  record JsonSummary(
      String version,
      String semantics,
      double fluidRate,
      JsonWorkload workload,
      String iterationTime,
      long blocks,
      int blockSize,
      int batchCap,
      List<JsonRun> runs) {}

  record JsonWorkload(String name, long requests, String sha256, long seed, long badRows) {}

  record JsonRun(
      String scheduler, String schedulerOptions, List<String> refused, Metrics metrics) {}
}
