package dev.weir.cli;

import dev.weir.cli.report.Fact;
import dev.weir.cli.report.Format;
import dev.weir.cli.report.MetricsTable;
import dev.weir.cli.report.PlanReport;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Workload;
import dev.weir.scheduling.fluid.BoundarySelection;
import dev.weir.scheduling.fluid.NestedWaitThresholds;
import dev.weir.simulation.capacity.StableRegion;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Segments, thresholds and safety buffer of Nested WAIT for a workload.
 *
 * @param workload what they are computed for
 * @param region its stable region
 * @param settings what was chosen
 * @param thresholds the result; null if the pool is too small for any
 * @param obstacle why there are none; null if there are
 */
record NestedWaitPlan(
    Workload workload,
    StableRegion region,
    NestedWaitThresholds.Settings settings,
    NestedWaitThresholds thresholds,
    String obstacle) {
  private static final double SECONDS_AN_HOUR = 3600;

  /** Horizons beside the one that was asked for, in hours. */
  private static final List<Integer> HOURS = List.of(1, 24, 30 * 24);

  static NestedWaitPlan of(
      Workload workload, StableRegion region, NestedWaitThresholds.Settings settings) {
    try {
      return new NestedWaitPlan(
          workload, region, settings, compute(workload, region, settings), null);
    } catch (IllegalArgumentException e) {
      return new NestedWaitPlan(workload, region, settings, null, e.getMessage());
    }
  }

  private static NestedWaitThresholds compute(
      Workload workload, StableRegion region, NestedWaitThresholds.Settings settings) {
    return NestedWaitThresholds.compute(
        workload, region.cost(), region.memory(), region.limits(), settings);
  }

  private double seconds(double iterations) {
    return iterations * thresholds.iterationSeconds();
  }

  List<Fact> facts() {
    if (thresholds == null) {
      return List.of(new Fact("Nested WAIT", obstacle));
    }
    KvCapacity pool = region.memory();
    return List.of(
        new Fact(
            "Nested WAIT",
            String.format(
                Locale.ROOT,
                "core %s + buffer %s of %s tokens, slack %s, keeps up with %s requests/s for"
                    + " certain%s",
                Format.count(Math.round(thresholds.coreTokens())),
                Format.count(Math.round(thresholds.bufferTokens())),
                Format.count(pool.tokens()),
                Format.significant(thresholds.slack()),
                Format.significant(thresholds.sustainableRate()),
                condition())),
        new Fact(
            "overflow bound",
            String.format(
                Locale.ROOT,
                "with probability %s no entrance outgrows its bound in %s iterations of %s ms ="
                    + " %s h; in the long run at most one such period in %s sees an overflow",
                Format.significant(1 - settings.overflowProbability()),
                Format.count(settings.horizon()),
                Format.milliseconds(thresholds.iterationSeconds()),
                Format.significant(seconds(settings.horizon()) / SECONDS_AN_HOUR),
                Format.significant(1 / settings.overflowProbability()))));
  }

  /**
   * The thresholds count tokens of memory; how many requests an iteration takes is another limit.
   */
  private String condition() {
    double running =
        IntStream.rangeClosed(1, thresholds.segments()).mapToDouble(thresholds::occupancyCap).sum();
    return running <= region.limits().maxSequences()
        ? ""
        : String.format(
            Locale.ROOT,
            ", if --max-sequences is at least %.0f instead of %d",
            Math.ceil(running),
            region.limits().maxSequences());
  }

  List<PlanReport.Table> tables() {
    return thresholds == null ? List.of() : List.of(segments(), boundaries(), horizons());
  }

  private PlanReport.Table segments() {
    List<MetricsTable.Row> rows = new ArrayList<>();
    for (int k = 1; k <= thresholds.segments(); k++) {
      boolean last = k == thresholds.segments();
      rows.add(
          new MetricsTable.Row(
              Integer.toString(k),
              List.of(
                  (k == 1 ? 1 : thresholds.boundary(k - 1) + 1) + " to " + thresholds.boundary(k),
                  Format.significant(thresholds.survivorRate(k)),
                  last ? "-" : Format.significant(thresholds.continuation(k)),
                  Format.significant(thresholds.threshold(k)),
                  Format.number(thresholds.occupancyCap(k)),
                  last ? "-" : Format.number(thresholds.queueBound(k)),
                  last ? "-" : Format.significant(thresholds.exponent(k))),
              false));
    }
    return new PlanReport.Table(
        "Segments of Nested WAIT",
        "A request that outlives a segment waits at the entrance of the next one.",
        List.of(
            "output tokens",
            "requests/s",
            "go on",
            "threshold, a stage",
            "cap, requests",
            "queue behind it at most",
            "exponent"),
        rows);
  }

  private BoundarySelection selection() {
    return BoundarySelection.of(
        workload, region.cost(), region.memory(), region.limits(), settings, thresholds.slack());
  }

  private PlanReport.Table boundaries() {
    List<MetricsTable.Row> rows =
        selection().choices().stream()
            .map(
                choice ->
                    new MetricsTable.Row(
                        name(choice.rule()),
                        List.of(
                            choice.boundaries().stream()
                                .map(String::valueOf)
                                .collect(Collectors.joining(", ")),
                            tokens(choice.coreTokens()),
                            tokens(choice.bufferTokens()),
                            tokens(choice.neededTokens()),
                            Format.significant(choice.sustainableRate())),
                        false))
            .toList();
    return new PlanReport.Table(
        "Boundaries to choose from",
        String.format(
            Locale.ROOT,
            "Memory of the least thresholds that carry %s requests/s with slack %s; '-' where none"
                + " do. Above: %s.",
            Format.significant(workload.arrivalRate()),
            Format.significant(thresholds.slack()),
            settings.boundaries().isEmpty() ? name(settings.rule()) : "as given"),
        List.of(
            "output tokens",
            "core, tokens",
            "buffer, tokens",
            "together",
            "requests/s for certain"),
        rows);
  }

  private static String name(BoundarySelection.Rule rule) {
    return rule.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  private static String tokens(double count) {
    return Double.isFinite(count) ? Format.count(Math.round(count)) : "-";
  }

  private PlanReport.Table horizons() {
    List<MetricsTable.Row> rows = new ArrayList<>();
    rows.add(horizon(thresholds, settings.horizon()));
    for (int hours : HOURS) {
      double iterations = Math.ceil(hours * SECONDS_AN_HOUR / thresholds.iterationSeconds());
      if (iterations > settings.horizon() && iterations <= Integer.MAX_VALUE) {
        try {
          rows.add(horizon(compute(workload, region, with((int) iterations)), (int) iterations));
        } catch (IllegalArgumentException _) {
          rows.add(
              new MetricsTable.Row(
                  hours(iterations),
                  List.of(Format.count((long) iterations), "does not fit", "-", "-"),
                  false));
        }
      }
    }
    return new PlanReport.Table(
        "Price of certainty",
        String.format(
            Locale.ROOT,
            "Buffer for an overflow probability of %s over longer horizons, with the same boundaries"
                + " and slack.",
            Format.significant(settings.overflowProbability())),
        List.of("iterations", "buffer, tokens", "core, tokens", "requests/s for certain"),
        rows);
  }

  private NestedWaitThresholds.Settings with(int horizon) {
    List<Integer> boundaries =
        IntStream.range(1, thresholds.segments()).map(thresholds::boundary).boxed().toList();
    return new NestedWaitThresholds.Settings(
        boundaries.isEmpty() ? 1 : settings.segments(),
        boundaries,
        OptionalDouble.of(thresholds.slack()),
        horizon,
        settings.overflowProbability());
  }

  private String hours(double iterations) {
    return Format.significant(seconds(iterations) / SECONDS_AN_HOUR) + " h";
  }

  private MetricsTable.Row horizon(NestedWaitThresholds t, int iterations) {
    return new MetricsTable.Row(
        hours(iterations),
        List.of(
            Format.count(iterations),
            Format.count(Math.round(t.bufferTokens())),
            Format.count(Math.round(t.coreTokens())),
            Format.significant(t.sustainableRate())),
        false);
  }

  /** For {@code --json}. */
  Json json() {
    if (thresholds == null) {
      return new Json(
          obstacle,
          List.of(),
          List.of(),
          Double.NaN,
          Double.NaN,
          Double.NaN,
          Double.NaN,
          Double.NaN,
          settings.overflowProbability(),
          settings.horizon(),
          Double.NaN);
    }
    return new Json(
        null,
        IntStream.rangeClosed(1, thresholds.segments()).mapToObj(this::segment).toList(),
        selection().choices(),
        thresholds.slack(),
        thresholds.coreTokens(),
        thresholds.bufferTokens(),
        thresholds.iterationSeconds(),
        thresholds.sustainableRate(),
        settings.overflowProbability(),
        settings.horizon(),
        seconds(settings.horizon()));
  }

  private Segment segment(int k) {
    boolean last = k == thresholds.segments();
    return new Segment(
        thresholds.boundary(k),
        thresholds.survivorRate(k),
        thresholds.continuation(k),
        thresholds.threshold(k),
        thresholds.occupancyCap(k),
        last ? Double.NaN : thresholds.queueBound(k),
        last ? Double.NaN : thresholds.exponent(k));
  }

  record Json(
      String obstacle,
      List<Segment> segments,
      List<BoundarySelection.Choice> boundaryChoices,
      double slack,
      double coreTokens,
      double bufferTokens,
      double iterationSeconds,
      double sustainableRate,
      double overflowProbability,
      int horizonIterations,
      double horizonSeconds) {}

  record Segment(
      int boundary,
      double survivorRate,
      double continuation,
      double threshold,
      double occupancyCap,
      double queueBound,
      double exponent) {}
}
