package dev.weir.cli;

import dev.weir.cli.bench.CostFit;
import dev.weir.cli.report.Fact;
import dev.weir.cli.report.Format;
import dev.weir.cli.report.MetricsTable;
import dev.weir.cli.report.Report;
import dev.weir.cli.report.ReportedRun;
import dev.weir.runtime.DeviceInfo;
import dev.weir.runtime.ModelInfo;
import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Workload;
import dev.weir.simulation.ArrivalList;
import dev.weir.simulation.BadRow;
import dev.weir.simulation.metrics.Metrics;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What {@code weir bench} did and measured, to be shown as text, JSON or a page.
 *
 * @param model folder of the model
 * @param shape its shape
 * @param device what computed
 * @param arrivals the workload, over-long requests included
 * @param arrivalText how the requests arrived
 * @param seed seed of lengths, arrivals and prompts
 * @param rounds runs of each scheduler; the one of median duration counts
 * @param badRows rows of the trace that were left out
 * @param overlong requests that do not fit the context or the pool
 * @param overlongSkipped whether those were left out; otherwise they count as refused
 * @param memory the KV pool
 * @param planned what the schedulers were told about the load
 * @param cost what they were told about the time of an iteration
 * @param fit the measurement behind {@code cost}; null if the user gave it
 * @param preemption what eviction does
 * @param limits the size of an iteration
 * @param runs one for each scheduler
 */
record BenchSummary(
    Path model,
    ModelInfo shape,
    DeviceInfo device,
    ArrivalList arrivals,
    String arrivalText,
    long seed,
    int rounds,
    List<BadRow> badRows,
    int overlong,
    boolean overlongSkipped,
    KvCapacity memory,
    Workload planned,
    IterationCost cost,
    CostFit fit,
    Preemption preemption,
    BatchLimits limits,
    List<ReportedRun> runs) {

  /** The facts and the table. */
  String text() {
    return FactText.above(
        facts(),
        MetricsTable.render(
            runs.stream().map(run -> run.result().scheduler()).toList(),
            runs.stream().map(ReportedRun::metrics).toList()));
  }

  private List<Fact> facts() {
    List<Fact> facts = new ArrayList<>();
    facts.add(new Fact("model", model + ", " + Format.count(shape.parameters()) + " parameters"));
    facts.add(new Fact("device", DeviceText.of(device)));
    facts.add(
        new Fact(
            "KV pool",
            FactText.pool(memory)
                + (memory.swapBlocks() == 0
                    ? ""
                    : ", swap space " + Format.count(memory.swapBlocks()) + " blocks")
                + ", preemption by "
                + preemption.name().toLowerCase(Locale.ROOT)));
    facts.add(
        new Fact(
            "iterations",
            "at most "
                + Format.count(limits.maxSequences())
                + " sequences and "
                + Format.count(limits.maxTokens())
                + " tokens"));
    facts.add(
        new Fact(
            "workload",
            Format.count(arrivals.arrivals().size())
                + " requests, "
                + arrivals.name()
                + ", "
                + arrivalText));
    if (!badRows.isEmpty()) {
      facts.add(new Fact("bad rows", Format.count(badRows.size()) + " left out of the trace"));
    }
    facts.add(
        new Fact(
            "over-long requests",
            Format.count(overlong)
                + (overlong == 0 ? "" : overlongSkipped ? " left out" : " refused")));
    facts.add(new Fact("workload SHA-256", arrivals.sha256()));
    facts.add(new Fact("seed", Long.toString(seed)));
    if (rounds > 1) {
      facts.add(new Fact("rounds", rounds + ", of which the one of median duration is reported"));
    }
    facts.add(
        new Fact(
            "planned for",
            String.format(
                Locale.ROOT,
                "%.4g requests/s%s, mean prompt %.1f and output %.1f tokens",
                planned.arrivalRate(),
                Double.isInfinite(arrivals.rate()) ? " (the most that the pool sustains)" : "",
                planned.promptTokens().mean(),
                planned.outputTokens().mean())));
    facts.add(new Fact("iteration cost", CostText.of(cost, fit)));
    facts.addAll(StabilityText.of(runs.stream().map(ReportedRun::result), planned.arrivalRate()));
    for (ReportedRun run : runs) {
      if (!run.result().schedulerOptions().isEmpty()) {
        facts.add(new Fact(run.result().scheduler(), run.result().schedulerOptions()));
      }
    }
    return facts;
  }

  Report report() {
    String schedulers =
        runs.stream().map(run -> run.result().scheduler()).collect(Collectors.joining(" and "));
    return Report.of(
        schedulers + " on " + arrivals.name(),
        Format.count(arrivals.arrivals().size())
            + " requests, "
            + arrivalText
            + ", served by "
            + runs.size()
            + (runs.size() == 1 ? " scheduler" : " schedulers, each in a fresh engine")
            + " with a KV pool of "
            + Format.count(memory.tokens())
            + " tokens.",
        facts(),
        runs,
        List.of(),
        "");
  }

  JsonSummary json() {
    return new JsonSummary(
        VersionProvider.version(),
        model.toString(),
        shape.parameters(),
        device,
        new JsonWorkload(
            arrivals.name(),
            arrivals.arrivals().size(),
            arrivalText,
            arrivals.sha256(),
            seed,
            badRows,
            overlong,
            overlongSkipped),
        new JsonPool(
            memory.blocks(), memory.blockSize(), memory.tokens(), memory.swapBlocks(), preemption),
        limits.maxSequences(),
        limits.maxTokens(),
        rounds,
        new JsonPlan(
            planned.arrivalRate(),
            planned.promptTokens().mean(),
            planned.outputTokens().mean(),
            cost.fixedSeconds(),
            cost.secondsPerToken(),
            fit == null ? null : fit.relativeResidual()),
        runs.stream()
            .map(
                run ->
                    new JsonRun(
                        run.result().scheduler(),
                        run.result().schedulerOptions(),
                        run.metrics(),
                        run.result().gauges()))
            .toList());
  }

  /** What {@code --json} prints. Durations in seconds. */
  record JsonSummary(
      String version,
      String model,
      long parameters,
      DeviceInfo device,
      JsonWorkload workload,
      JsonPool kvPool,
      int maxSequences,
      int maxBatchTokens,
      int rounds,
      JsonPlan plan,
      List<JsonRun> runs) {}

  record JsonWorkload(
      String name,
      int requests,
      String arrivals,
      String sha256,
      long seed,
      List<BadRow> badRows,
      int overlong,
      boolean overlongSkipped) {}

  record JsonPool(
      long blocks, int blockSize, long tokens, long swapBlocks, Preemption preemption) {}

  record JsonPlan(
      double requestsPerSecond,
      double meanPromptTokens,
      double meanOutputTokens,
      double iterationSeconds,
      double secondsPerToken,
      Double relativeResidual) {}

  record JsonRun(
      String scheduler, String schedulerOptions, Metrics metrics, Map<String, Double> gauges) {}
}
