package dev.weir.cli;

import dev.weir.cli.plan.Advice;
import dev.weir.cli.plan.KnownDevice;
import dev.weir.cli.plan.LengthMoments;
import dev.weir.cli.plan.MemoryBudget;
import dev.weir.cli.plan.ModelCard;
import dev.weir.cli.plan.NumberFormat;
import dev.weir.cli.plan.StableRegion;
import dev.weir.cli.report.Fact;
import dev.weir.cli.report.Format;
import dev.weir.cli.report.MetricsTable;
import dev.weir.cli.report.PlanReport;
import dev.weir.cli.report.StabilityChart;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Workload;
import dev.weir.scheduling.fluid.FluidModel;
import dev.weir.scheduling.fluid.NestedWaitThresholds;
import dev.weir.simulation.IterationTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.Collectors;
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

  private String advice() {
    return Advice.of(region, asked);
  }

  private FluidModel equilibrium() {
    return region.at(planned.arrivalRate());
  }

  String text() {
    StringBuilder text = new StringBuilder(advice()).append(System.lineSeparator());
    text.append(System.lineSeparator()).append(Fact.lines(facts()));
    for (PlanReport.Table table : tables()) {
      text.append(System.lineSeparator())
          .append(table.title())
          .append(". ")
          .append(table.text())
          .append(System.lineSeparator())
          .append(MetricsTable.render(table.columns(), table.rows(), ""));
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
                    "%s of %s: %s weights, %s activations, %s KV, %s not used"
                        .formatted(
                            Format.bytes(b.totalBytes()),
                            device.id(),
                            Format.bytes(b.weightBytes()),
                            Format.bytes(b.activationBytes()),
                            Format.bytes(b.kvBytes()),
                            Format.bytes(b.unusedBytes())))));
    facts.add(new Fact("KV pool", FactText.pool(pool)));
    facts.add(
        new Fact(
            "concurrency",
            "%s requests of mean length at once; %s of the context's %s tokens"
                .formatted(
                    Format.significant(region.requests(pool.tokens())),
                    Format.significant(pool.tokens() / (double) model.contextLength()),
                    Format.count(model.contextLength()))));
    facts.add(
        new Fact("workload", Format.count(workload.requests()) + " requests, " + workload.name()));
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
                "%s; as a line %.3g ms + %.3g us a resident token, off by up to %.0f %%",
                timeName,
                region.cost().fixedSeconds() * 1e3,
                region.cost().secondsPerToken() * 1e6,
                region.residual() * 100)));
    facts.add(
        new Fact(
            "stable region",
            "at most %s requests/s = %s output tokens/s, bound by %s"
                .formatted(
                    Format.significant(region.sustainableRate()),
                    Format.number(region.sustainableRate() * lengths.output()),
                    region.bound())));
    FluidModel equilibrium = equilibrium();
    facts.add(
        new Fact(
            "equilibrium",
            "at %s requests/s: load %s, iteration %s ms, %s resident tokens (%s of the usable"
                .formatted(
                    Format.significant(planned.arrivalRate()),
                    Format.significant(equilibrium.load()),
                    Format.milliseconds(equilibrium.iterationSeconds()),
                    Format.number(equilibrium.residentTokens()),
                    Format.percent(equilibrium.residentTokens() / region.usableTokens()))
                + "), stability margin "
                + Format.percent(equilibrium.stabilityMargin())));
    facts.addAll(nestedWait.facts());
    facts.add(new Fact("workload SHA-256", workload.sha256()));
    facts.add(new Fact("seed", Long.toString(seed)));
    return facts;
  }

  private static String name(NumberFormat format) {
    return format.name().toLowerCase(Locale.ROOT);
  }

  private List<PlanReport.Table> tables() {
    return nestedWait.tables();
  }
}
