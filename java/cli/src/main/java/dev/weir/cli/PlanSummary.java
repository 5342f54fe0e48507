package dev.weir.cli;

import dev.weir.cli.plan.Advice;
import dev.weir.cli.plan.KnownDevice;
import dev.weir.cli.plan.MemoryBudget;
import dev.weir.cli.plan.ModelCard;
import dev.weir.cli.plan.NumberFormat;
import dev.weir.cli.report.Fact;
import dev.weir.cli.report.Format;
import dev.weir.cli.report.MetricsTable;
import dev.weir.cli.report.PlanReport;
import dev.weir.cli.report.StabilityChart;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Workload;
import dev.weir.scheduling.fluid.FluidModel;
import dev.weir.scheduling.fluid.NestedWaitThresholds;
import dev.weir.scheduling.fluid.WaitThresholds;
import dev.weir.simulation.IterationTime;
import dev.weir.simulation.Linearisation;
import dev.weir.simulation.capacity.LengthMoments;
import dev.weir.simulation.capacity.StableRegion;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.IntStream;

/**
 * What {@code weir plan} found, to be shown as text, JSON or a page.
 *
 * @param model sizes of the model
 * @param weightFormat format of the weights
 * @param kvFormat format of keys and values
 * @param device where it runs
 * @param budget what the device's memory is used for; empty if the size of the pool was given
 * @param pool the KV pool
 * @param workload the load as a whole
 * @param load the requests of it that fit
 * @param seed seed of lengths and arrivals
 * @param asked requests a second to plan for; empty if nobody named any
 * @param timeName how long an iteration takes, for people
 * @param time the same, as a function
 * @param region the stable region
 * @param planned what the thresholds are computed for
 * @param nestedWait the thresholds, or why there are none
 */
record PlanSummary(
    ModelCard model,
    NumberFormat weightFormat,
    NumberFormat kvFormat,
    KnownDevice device,
    Optional<MemoryBudget> budget,
    KvCapacity pool,
    WorkloadFacts workload,
    PlannedLoad load,
    long seed,
    OptionalDouble asked,
    String timeName,
    IterationTime time,
    StableRegion region,
    Workload planned,
    NestedWaitPlan nestedWait) {

  /** More than any model's, and few enough for the grid over which errors are taken. */
  private static final int MAX_CONTEXT = 1 << 20;

  private String advice() {
    return Advice.of(region, asked);
  }

  private FluidModel equilibrium() {
    return region.at(planned.arrivalRate());
  }

  String text() {
    StringBuilder text = new StringBuilder(advice()).append(System.lineSeparator());
    text.append(System.lineSeparator()).append(FactText.lines(facts()));
    for (PlanReport.Table table : tables()) {
      text.append(System.lineSeparator())
          .append(table.title())
          .append(". ")
          .append(table.text())
          .append(System.lineSeparator())
          .append(MetricsTable.text("", table.columns(), table.rows()))
          .append(System.lineSeparator());
    }
    return text.toString();
  }

  private List<Fact> facts() {
    List<Fact> facts = new ArrayList<>();
    facts.add(
        new Fact(
            "model",
            "%s, %s parameters, weights %s, KV %s = %s bytes a token"
                .formatted(
                    model.name(),
                    Format.count(model.parameters()),
                    name(weightFormat),
                    name(kvFormat),
                    Format.count(model.kvBytesPerToken(kvFormat)))));
    budget.ifPresent(
        b ->
            facts.add(
                new Fact(
                    "memory",
                    "%s %s: %s weights, %s activations, %s KV, %s not used"
                        .formatted(
                            Format.bytes(b.totalBytes()),
                            b.totalBytes() == device.memoryBytes()
                                ? "of " + device.id()
                                : "as given",
                            Format.bytes(b.weightBytes()),
                            Format.bytes(b.activationBytes()),
                            Format.bytes(b.kvBytes()),
                            Format.bytes(b.unusedBytes())))));
    facts.add(new Fact("KV pool", FactText.pool(pool)));
    facts.add(
        new Fact(
            "concurrency",
            "%s requests of mean length at once, or %s as long as the context, %s tokens"
                .formatted(
                    Format.significant(region.requests(pool.tokens())),
                    Format.significant(pool.tokens() / (double) model.contextLength()),
                    Format.count(model.contextLength()))));
    facts.add(
        new Fact("workload", Format.count(workload.requests()) + " requests, " + workload.name()));
    if (workload.badRows() > 0) {
      facts.add(new Fact("bad rows", Format.count(workload.badRows()) + " left out of the trace"));
    }
    LengthMoments lengths = region.lengths();
    facts.add(
        new Fact(
            "lengths",
            String.format(
                Locale.ROOT,
                "mean prompt %.1f and output %.1f tokens, work %s token-iterations a request%s",
                lengths.prompt(),
                lengths.output(),
                Format.count(Math.round(lengths.work())),
                load.overlong() == 0
                    ? ""
                    : "; "
                        + Format.count(load.overlong())
                        + " of "
                        + Format.count(load.lookedAt())
                        + " left out, longer than "
                        + Format.count(load.longest())
                        + " tokens")));
    facts.add(
        new Fact(
            "iteration time",
            String.format(
                Locale.ROOT,
                "%s; as a line %.3g ms + %.3g us a resident token, off by up to %.0f %% in"
                    + " equilibrium and by %.0f %% (root mean square) over all batches",
                timeName,
                region.cost().fixedSeconds() * 1e3,
                region.cost().secondsPerToken() * 1e6,
                region.residual() * 100,
                anyBatch().rootMeanSquare() * 100)));
    facts.add(
        new Fact(
            "stable region",
            "at most %s requests/s = %s output tokens/s, bound by %s"
                .formatted(
                    Format.significant(region.sustainableRate()),
                    Format.number(region.sustainableRate() * lengths.output()),
                    region.bound())));
    facts.add(new Fact("equilibrium", equilibriumText()));
    facts.addAll(nestedWait.facts());
    facts.add(new Fact("workload SHA-256", workload.sha256()));
    facts.add(new Fact("seed", Long.toString(seed)));
    return facts;
  }

  private String equilibriumText() {
    FluidModel equilibrium = equilibrium();
    String rate = Format.significant(planned.arrivalRate());
    String load = Format.significant(equilibrium.load());
    return equilibrium.load() >= 1
        ? "none at %s requests/s: load %s".formatted(rate, load)
        : ("at %s requests/s: load %s, iteration %s ms, %s resident tokens (%s of the usable),"
                + " stability margin %s")
            .formatted(
                rate,
                load,
                Format.milliseconds(equilibrium.iterationSeconds()),
                Format.number(equilibrium.residentTokens()),
                Format.percent(equilibrium.residentTokens() / region.usableTokens()),
                Format.percent(equilibrium.stabilityMargin()));
  }

  private Linearisation.Residual anyBatch() {
    return Linearisation.of(
            time, region.cost(), pool, region.limits(), (int) Math.min(load.longest(), MAX_CONTEXT))
        .mixed();
  }

  private static String name(NumberFormat format) {
    return format.name().toLowerCase(Locale.ROOT);
  }

  private List<PlanReport.Table> tables() {
    List<PlanReport.Table> tables = new ArrayList<>(nestedWait.tables());
    classesOfWait().ifPresent(tables::add);
    return tables;
  }

  /** Thresholds of WAIT, if the workload consists of few classes. */
  private Optional<PlanReport.Table> classesOfWait() {
    if (planned.classes().isEmpty()) {
      return Optional.empty();
    }
    WaitThresholds thresholds =
        WaitThresholds.largest(planned.classes(), region.cost(), region.memory());
    List<MetricsTable.Row> rows =
        IntStream.range(0, thresholds.size())
            .mapToObj(
                j ->
                    new MetricsTable.Row(
                        thresholds.requestClass(j).promptTokens()
                            + " / "
                            + thresholds.requestClass(j).outputTokens(),
                        List.of(
                            Format.significant(thresholds.requestClass(j).arrivalRate()),
                            Format.count(Math.round(thresholds.requestClass(j).work())),
                            Format.significant(thresholds.threshold(j)),
                            Format.number(thresholds.occupancyCap(j))),
                        false))
            .toList();
    return Optional.of(
        new PlanReport.Table(
            "Classes of WAIT, for lengths that are known at arrival",
            "Thresholds of a cycle of %s ms, which fill the memory; an iteration then lasts %s ms."
                .formatted(
                    Format.milliseconds(thresholds.cycleSeconds()),
                    Format.milliseconds(thresholds.iterationSeconds())),
            List.of("requests/s", "work", "threshold, a stage", "cap, requests"),
            rows));
  }

  PlanReport report() {
    FluidModel equilibrium = equilibrium();
    List<Fact> tiles = new ArrayList<>();
    tiles.add(new Fact("Largest stable rate, requests/s", Format.significant(most())));
    asked.ifPresent(rate -> tiles.add(new Fact("Asked for, requests/s", Format.significant(rate))));
    tiles.add(new Fact("Stability margin", Format.percent(equilibrium.stabilityMargin())));
    tiles.add(new Fact("KV pool, tokens", Format.count(pool.tokens())));
    tiles.add(
        new Fact(
            "Iteration in equilibrium, ms", Format.milliseconds(equilibrium.iterationSeconds())));
    tiles.add(
        new Fact("Output tokens/s at most", Format.number(most() * region.lengths().output())));
    return new PlanReport(
        model.name() + " on " + device.id(),
        advice(),
        tiles,
        facts(),
        StabilityCurve.of(
            time,
            region.lengths(),
            pool,
            region.limits(),
            asked.isPresent()
                ? List.of(
                    new StabilityChart.Load(
                        "asked for", region.lengths().output(), asked.getAsDouble(), false))
                : List.of(
                    new StabilityChart.Load(
                        "this workload at its largest stable rate",
                        region.lengths().output(),
                        most(),
                        false))),
        memoryParts(),
        budget.isPresent()
            ? "What the device's memory holds: core and buffer are those of Nested WAIT."
            : "The KV pool, as given: core and buffer are those of Nested WAIT.",
        tables());
  }

  private double most() {
    return region.sustainableRate();
  }

  private List<PlanReport.MemoryPart> memoryParts() {
    List<PlanReport.MemoryPart> parts = new ArrayList<>();
    budget.ifPresent(
        b -> {
          parts.add(part("weights", b.weightBytes(), "waiting"));
          parts.add(part("activations", b.activationBytes(), "prefill"));
        });
    double tokenBytes = model.kvBytesPerToken(kvFormat);
    NestedWaitThresholds thresholds = nestedWait.thresholds();
    double core = thresholds == null ? 0 : thresholds.coreTokens();
    double buffer = thresholds == null ? 0 : thresholds.bufferTokens();
    if (thresholds != null) {
      parts.add(part("KV core", core * tokenBytes, "kv"));
      parts.add(part("KV safety buffer", buffer * tokenBytes, "buffer-edge"));
    }
    double free = pool.tokens() - core - buffer;
    if (free >= pool.blockSize()) {
      parts.add(part(thresholds == null ? "KV" : "KV free", free * tokenBytes, "fluid"));
    }
    budget.ifPresent(b -> parts.add(part("not used", b.unusedBytes(), "queued")));
    return parts;
  }

  private static PlanReport.MemoryPart part(String label, double bytes, String colour) {
    return new PlanReport.MemoryPart(label, bytes, Format.bytes(Math.round(bytes)), colour);
  }

  JsonSummary json() {
    FluidModel equilibrium = equilibrium();
    return new JsonSummary(
        VersionProvider.version(),
        advice(),
        equilibrium.isStable(),
        new JsonModel(
            model.name(),
            model.parameters(),
            weightFormat,
            kvFormat,
            model.kvBytesPerToken(kvFormat)),
        device.id(),
        budget.orElse(null),
        new JsonPool(pool.blocks(), pool.blockSize(), pool.tokens()),
        new JsonWorkload(
            workload.name(),
            workload.requests(),
            workload.sha256(),
            seed,
            workload.badRows(),
            load.overlong(),
            load.lookedAt(),
            region.lengths()),
        timeName,
        region.cost().fixedSeconds(),
        region.cost().secondsPerToken(),
        region.residual(),
        anyBatch().rootMeanSquare(),
        region.usableTokens(),
        region.bound(),
        most(),
        asked.isPresent() ? asked.getAsDouble() : null,
        new JsonEquilibrium(
            planned.arrivalRate(),
            equilibrium.load(),
            equilibrium.iterationSeconds(),
            equilibrium.residentTokens(),
            equilibrium.throughput(),
            equilibrium.stabilityMargin()),
        nestedWait.json());
  }

  /** What {@code --json} prints. Durations in seconds, rates in requests or tokens a second. */
  record JsonSummary(
      String version,
      String advice,
      boolean stable,
      JsonModel model,
      String device,
      MemoryBudget memory,
      JsonPool kvPool,
      JsonWorkload workload,
      String iterationTime,
      double iterationSeconds,
      double secondsPerToken,
      double equilibriumResidual,
      double batchResidual,
      double usableTokens,
      StableRegion.Bound bound,
      double sustainableRate,
      Double requestedRate,
      JsonEquilibrium equilibrium,
      NestedWaitPlan.Json nestedWait) {}

  record JsonModel(
      String name,
      long parameters,
      NumberFormat weightFormat,
      NumberFormat kvFormat,
      long kvBytesPerToken) {}

  record JsonPool(long blocks, int blockSize, long tokens) {}

  record JsonWorkload(
      String name,
      long requests,
      String sha256,
      long seed,
      long badRows,
      int overlong,
      int lookedAt,
      LengthMoments lengths) {}

  record JsonEquilibrium(
      double arrivalRate,
      double load,
      double iterationSeconds,
      double residentTokens,
      double throughput,
      double stabilityMargin) {}
}
