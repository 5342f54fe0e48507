package dev.weir.simulation.experiment;

import dev.weir.simulation.SimulationResult;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.function.Function;

/**
 * The throughput gap of WAIT and Nested WAIT to the fluid benchmark as the scale grows, beside the
 * rates of the theorems of arXiv 2504.11320.
 *
 * <p>The theorems multiply arrival rates by {@code zeta}, divide {@code d0} and {@code d1} by it,
 * keep the memory, and divide the gap by {@code zeta}. They say {@code O(1/sqrt(zeta T))} for WAIT
 * if a full iteration takes as long as its requests take to arrive, and {@code O(1/(zeta T))} for
 * both if it takes less. The scaled system is the unscaled one with its clock run {@code zeta}
 * times as fast, so what is simulated here is the unscaled system up to {@code H = zeta T}.
 */
final class TheoryExperiment implements Experiment {
  /** In full iterations. */
  private static final List<Integer> HORIZONS =
      List.of(500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000);

  /** Slopes are fitted to so many of the longest horizons. */
  private static final int FITTED = 6;

  private static final int PATHS_A_SEED = 4;
  private static final double SLACK_LOAD = 0.9;
  private static final int PROMPT = 20;

  /**
   * A line of the results.
   *
   * @param theorem exponent of the theorem; NaN if it says nothing
   */
  private record Case(String label, ScaledSystem system, double theorem) {}

  private record Task(Case of, int iterations, long path) {}

  private record Outcome(double gap, double waiting, boolean evicted) {}

  /** The gap over all paths. */
  private record Gap(Case of, int iterations, Estimate gap, Estimate waiting, long evicted) {}

  /** Exponents of the gap and of the part of it that waits to start. */
  private record Slope(Case of, SlopeFit gap, SlopeFit waiting) {}

  @Override
  public String name() {
    return "theory";
  }

  @Override
  public String description() {
    return "WAIT's and Nested WAIT's throughput gap to the fluid benchmark as the scale grows";
  }

  private static List<Case> cases() {
    List<Case> cases = new ArrayList<>();
    for (double load : List.of(1.0, SLACK_LOAD)) {
      String slack = load < 1 ? ", slack" : ", no slack";
      cases.add(
          new Case(
              "WAIT, one class" + slack,
              new ScaledSystem(
                  ScaledSystem.Kind.WAIT, PROMPT, List.of(8), List.of(1.0), List.of(8), load),
              load < 1 ? -1 : -0.5));
      cases.add(
          new Case(
              "WAIT, two classes" + slack,
              new ScaledSystem(
                  ScaledSystem.Kind.WAIT,
                  PROMPT,
                  List.of(4, 12),
                  List.of(0.6, 0.4),
                  List.of(6, 4),
                  load),
              load < 1 ? -1 : -0.5));
      cases.add(
          new Case(
              "Nested WAIT" + slack,
              new ScaledSystem(
                  ScaledSystem.Kind.NESTED_WAIT,
                  PROMPT,
                  List.of(4, 8, 12),
                  List.of(0.5, 0.25, 0.25),
                  List.of(10, 6, 4),
                  load),
              load < 1 ? -1 : Double.NaN));
    }
    cases.add(
        new Case(
            "fcfs, one class, load of no slack",
            new ScaledSystem(
                ScaledSystem.Kind.FCFS, PROMPT, List.of(8), List.of(1.0), List.of(8), 1),
            Double.NaN));
    return cases;
  }

  @Override
  public ExperimentResult run(ExperimentContext context) {
    List<Case> cases = cases();
    List<Integer> horizons =
        HORIZONS.stream().map(usual -> context.scaled(usual, 20)).distinct().toList();
    int paths = PATHS_A_SEED * context.seeds();
    List<Task> tasks = new ArrayList<>();
    for (Case of : cases) {
      for (int iterations : horizons) {
        for (long path = 1; path <= paths; path++) {
          tasks.add(new Task(of, iterations, path));
        }
      }
    }
    context.plan(tasks.size());
    List<Outcome> outcomes = context.map(tasks, task -> simulate(context, task));
    List<Gap> gaps = new ArrayList<>();
    for (int first = 0; first < tasks.size(); first += paths) {
      List<Outcome> group = outcomes.subList(first, first + paths);
      gaps.add(
          new Gap(
              tasks.get(first).of(),
              tasks.get(first).iterations(),
              Estimate.of(group, Outcome::gap),
              Estimate.of(group, Outcome::waiting),
              group.stream().filter(Outcome::evicted).count()));
    }
    List<Slope> slopes = cases.stream().map(of -> slope(of, gaps)).toList();
    return new ExperimentResult(
        name(),
        "Throughput gap to the fluid benchmark",
        question(),
        slopes.stream().map(slope -> finding(slope, gaps)).toList(),
        settings(cases, horizons, paths),
        List.of(slopeTable(slopes), gapTable(gaps)),
        List.of(
            plot("no-slack", "No slack", "no slack", slopes, gaps),
            plot("slack", "Slack of " + Texts.percent(1 - SLACK_LOAD), ", slack", slopes, gaps)),
        List.of());
  }

  private static Outcome simulate(ExperimentContext context, Task task) {
    ScaledSystem system = task.of().system();
    double horizon = task.iterations() * system.fullIteration();
    ThroughputGap gap = new ThroughputGap(horizon);
    // A path of its own for each horizon, so that the points of a fit are independent.
    SplittableRandom random = new SplittableRandom(1_000_003L * task.iterations() + task.path());
    SimulationResult result =
        context.simulate(
            system.options(task.iterations(), 1), system.arrivals(horizon, 1, random), gap);
    return new Outcome(gap.estimate(), gap.waiting(), result.evictions() > 0);
  }

  private static Slope slope(Case of, List<Gap> gaps) {
    List<Gap> all = gaps.stream().filter(gap -> gap.of() == of).toList();
    List<Gap> fitted = all.subList(Math.max(0, all.size() - FITTED), all.size());
    return new Slope(of, fit(fitted, Gap::gap), fit(fitted, Gap::waiting));
  }

  private static SlopeFit fit(List<Gap> gaps, Function<Gap, Estimate> part) {
    return SlopeFit.logarithmic(
        gaps.stream().mapToDouble(Gap::iterations).toArray(),
        gaps.stream().mapToDouble(gap -> part.apply(gap).mean()).toArray());
  }

  private static List<String> question() {
    return List.of(
        "WAIT and Nested WAIT to the letter (mode strict), with the linear cost of the paper. The gap"
            + " is Theta* less the output tokens of requests completed by the horizon over the"
            + " horizon. Theta* is estimated by the tokens of the requests that arrived by then,"
            + " which has the same expectation and takes out the fluctuation of the arrivals.",
        "The theorems multiply arrival rates by zeta, divide d0 and d1 by zeta, keep the memory, and"
            + " divide throughput by zeta; the gap is then O(1/sqrt(zeta T)) for WAIT without slack"
            + " (dT(n) = n_j / lambda_j) and O(1/(zeta T)) for WAIT and Nested WAIT with strict slack."
            + " The scaled system is the unscaled one on a clock that runs zeta times as fast, so the"
            + " horizon of the unscaled system is zeta T: that is what grows here.",
        "Pools: M(n) for WAIT, M(n) and the safety buffer for the horizon for Nested WAIT.");
  }

  private static String finding(Slope slope, List<Gap> gaps) {
    Gap longest =
        gaps.stream().filter(gap -> gap.of() == slope.of()).reduce((_, last) -> last).orElseThrow();
    double theorem = slope.of().theorem();
    Estimate exponent = slope.gap().slope();
    if (Double.isNaN(exponent.halfWidth())) {
      return String.format(
          Locale.ROOT,
          "%s: no exponent, as the horizons are too few or a gap is 0. After %,d full iterations the"
              + " gap is %.3f %% of Theta*.",
          slope.of().label(),
          longest.iterations(),
          100 * longest.gap().mean() / slope.of().system().benchmark());
    }
    String verdict;
    if (Double.isNaN(theorem)) {
      verdict = "no theorem";
    } else if (exponent.low() > theorem) {
      verdict = "slower than the theorem's " + theorem;
    } else if (exponent.high() < theorem) {
      verdict = "faster than the theorem's " + theorem;
    } else {
      verdict = "as the theorem's " + theorem;
    }
    return String.format(
        Locale.ROOT,
        "%s: the gap goes with the horizon to the power %.3f (95 %%: %.3f to %.3f), %s; the part of"
            + " it that waits to start to the power %.3f (%.3f to %.3f). After %,d full iterations"
            + " it is %.3f %% of Theta*.",
        slope.of().label(),
        exponent.mean(),
        exponent.low(),
        exponent.high(),
        verdict,
        slope.waiting().slope().mean(),
        slope.waiting().slope().low(),
        slope.waiting().slope().high(),
        longest.iterations(),
        100 * longest.gap().mean() / slope.of().system().benchmark());
  }

  private static List<Setting> settings(List<Case> cases, List<Integer> horizons, int paths) {
    List<Setting> settings = new ArrayList<>();
    settings.add(new Setting("paths for each horizon", String.valueOf(paths)));
    settings.add(new Setting("horizons, full iterations", horizons.toString()));
    settings.add(
        new Setting("slopes fitted to", "the " + FITTED + " longest horizons, least squares"));
    for (Case of : cases) {
      ScaledSystem system = of.system();
      settings.add(
          new Setting(
              of.label(),
              String.format(
                  Locale.ROOT,
                  "prompt %d, outputs %s in shares %s, thresholds %s, full iteration %.4f s,"
                      + " %.3f requests/s, Theta* %.1f tokens/s",
                  system.prompt(),
                  system.ends(),
                  system.shares(),
                  system.thresholds(),
                  system.fullIteration(),
                  system.rate(),
                  system.benchmark())));
    }
    return settings;
  }

  private static Table slopeTable(List<Slope> slopes) {
    Table.Builder table =
        Table.titled("slopes", "Exponents")
            .note("Of the horizon in the gap; least squares on logarithms, 95 % intervals.")
            .column("case")
            .column("gap")
            .column("theorem")
            .column("R squared of the gap")
            .column("waiting part")
            .column("R squared of it");
    for (Slope slope : slopes) {
      table.row(
          slope.of().label(),
          slope.gap().slope(),
          slope.of().theorem(),
          slope.gap().rSquared(),
          slope.waiting().slope(),
          slope.waiting().rSquared());
    }
    return table.build();
  }

  private static Table gapTable(List<Gap> gaps) {
    Table.Builder table =
        Table.titled("gaps", "Gap to the fluid benchmark")
            .note(
                "Means over independent paths with 95 % intervals. waiting: the part that is due to"
                    + " requests that have not started; the rest is in the pipeline.")
            .column("case")
            .column("horizon", "full iterations")
            .column("gap", "tokens/s")
            .column("of Theta*", "%")
            .column("waiting", "tokens/s")
            .column("paths with evictions");
    for (Gap gap : gaps) {
      table.row(
          gap.of().label(),
          gap.iterations(),
          gap.gap(),
          100 * gap.gap().mean() / gap.of().system().benchmark(),
          gap.waiting(),
          gap.evicted());
    }
    return table.build();
  }

  /** Cases whose label contains a text. */
  private static Plot plot(
      String id, String title, String contained, List<Slope> slopes, List<Gap> gaps) {
    List<Plot.Series> series = new ArrayList<>();
    for (Slope slope : slopes) {
      if (!slope.of().label().contains(contained)) {
        continue;
      }
      List<Gap> points = gaps.stream().filter(gap -> gap.of() == slope.of()).toList();
      series.add(
          new Plot.Series(
              slope.of().label(),
              Plot.Style.SCATTER,
              points.stream().map(gap -> Plot.Point.of(gap.iterations(), gap.gap())).toList()));
      series.add(
          new Plot.Series(
              String.format(
                  Locale.ROOT, "%s, exponent %.2f", slope.of().label(), slope.gap().slope().mean()),
              Plot.Style.LINE,
              points.stream()
                  .map(gap -> Plot.Point.of(gap.iterations(), slope.gap().at(gap.iterations())))
                  .toList()));
    }
    return new Plot(
        id,
        "Gap to the fluid benchmark: " + title,
        "Points: means over paths. Lines: fitted power laws.",
        Plot.Axis.logarithmic("horizon, full iterations"),
        Plot.Axis.logarithmic("gap, output tokens/s"),
        series,
        List.of());
  }
}
