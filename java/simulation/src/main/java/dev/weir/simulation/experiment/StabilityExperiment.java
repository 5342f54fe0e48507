package dev.weir.simulation.experiment;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.KvCapacity;
import dev.weir.simulation.IterationTime;
import dev.weir.simulation.LengthDistribution;
import dev.weir.simulation.ProfileIterationTime;
import dev.weir.simulation.SimulationListener;
import dev.weir.simulation.capacity.StableRegion;
import dev.weir.simulation.experiment.Plot.Axis;
import dev.weir.simulation.experiment.Plot.Marker;
import dev.weir.simulation.experiment.Plot.Orientation;
import dev.weir.simulation.experiment.Plot.Point;
import dev.weir.simulation.experiment.Plot.Series;
import dev.weir.simulation.experiment.Plot.Style;
import dev.weir.simulation.metrics.BacklogTrend;
import dev.weir.simulation.metrics.Metrics;
import dev.weir.simulation.metrics.ServiceObjectives;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * {@code stability}: the arrival rate is swept through the fluid limit for every policy, and the
 * largest rate at which the backlog does not grow is found by bisection.
 */
final class StabilityExperiment implements Experiment {
  private static final long[] BLOCKS = {7424, 2500, 1250, 400};
  private static final int BLOCK_SIZE = 16;
  private static final BatchLimits LIMITS = new BatchLimits(256, 2048);
  private static final int CONTEXT_TOKENS = 4096;

  /** What marks cases with {@link LinearCost} instead of the profile. */
  private static final String LINEAR = ", linear cost";

  /** Rates of the sweep over {@code mu}; the last is the overload. */
  private static final double[] SWEEP = {0.3, 0.45, 0.7, 0.85, 1, 1.15, 1.6};

  private static final double OVERLOAD = SWEEP[SWEEP.length - 1];
  private static final double LOW_LOAD = 0.5;
  private static final int BISECTIONS = 5;
  private static final int CAPS = 20;
  private static final ServiceObjectives OBJECTIVES = new ServiceObjectives(2, 0.1);

  private static final int USUAL_ITERATIONS = 50_000;
  private static final int MOST_REQUESTS = 12_000;
  private static final int LEAST_REQUESTS = 1_000;
  private static final int LEAST_SCALED_REQUESTS = 40;

  private static final double GOAL_THROUGHPUT = 99;
  private static final double GOAL_RECOMPUTED = 0.5;
  private static final double GOAL_STABLE = 1.15;
  private static final long GOAL_STABLE_BLOCKS = 1250;
  private static final double GOAL_CAPPED_THROUGHPUT = 99;
  private static final double GOAL_CAPPED_TTFT = 105;
  private static final double GOAL_LOW_LOAD_TTFT = 105;

  private record Task(StabilityCase at, Policy policy, int seed) {}

  /**
   * What one policy did with one seed.
   *
   * @param sweep at each rate of the sweep
   * @param largestStable largest rate found stable, over {@code mu}; 0 if none was
   */
  private record Curve(Task task, List<Metrics> sweep, double largestStable) {}

  /** The curves of one policy in one case, by seed. */
  private record Outcome(StabilityCase at, Policy policy, List<Curve> curves) {
    Estimate figure(int rate, ToDoubleFunction<Metrics> figure) {
      return Estimate.of(curves, curve -> figure.applyAsDouble(curve.sweep().get(rate)));
    }

    Estimate largestStable() {
      return Estimate.of(curves, Curve::largestStable);
    }

    /** A figure over that of another policy with the same seed. */
    Estimate ratio(Outcome other, int rate, ToDoubleFunction<Metrics> figure) {
      return Estimate.of(
          IntStream.range(0, curves.size())
              .mapToDouble(
                  seed ->
                      figure.applyAsDouble(curves.get(seed).sweep().get(rate))
                          / figure.applyAsDouble(other.curves.get(seed).sweep().get(rate)))
              .toArray());
    }

    Estimate overload() {
      return figure(SWEEP.length - 1, Metrics::windowOutputTokensPerSecond);
    }
  }

  @Override
  public String name() {
    return "stability";
  }

  @Override
  public String description() {
    return "sweeps the arrival rate through the fluid limit: largest stable rate, throughput in"
        + " overload, evictions and latency of every policy";
  }

  @Override
  public ExperimentResult run(ExperimentContext context) {
    Map<String, String> skipped = new LinkedHashMap<>();
    List<StabilityCase> cases = cases(context, skipped);
    List<Task> tasks = new ArrayList<>();
    for (StabilityCase at : cases) {
      for (Policy policy : at.contenders().policies()) {
        for (int seed = 0; seed < context.seeds(); seed++) {
          tasks.add(new Task(at, policy, seed));
        }
      }
    }
    context.plan((long) tasks.size() * (SWEEP.length + BISECTIONS));
    List<Curve> curves = context.map(tasks, task -> curve(context, task));
    List<Outcome> outcomes = new ArrayList<>();
    for (int i = 0; i < curves.size(); i += context.seeds()) {
      Task first = curves.get(i).task();
      outcomes.add(new Outcome(first.at(), first.policy(), curves.subList(i, i + context.seeds())));
    }
    return new StabilityReport(context, cases, outcomes, skipped).result();
  }

  private static List<StabilityCase> cases(ExperimentContext context, Map<String, String> skipped) {
    List<ServingSetup> setups = new ArrayList<>();
    for (RequestLengths lengths : lengths(context.data())) {
      for (long blocks : BLOCKS) {
        add(lengths, blocks, ProfileIterationTime.a100Llama2(), setups, skipped);
      }
    }
    for (RequestLengths lengths : lengths(context.data())) {
      long blocks = lengths.name().equals(context.data().lmsys().name()) ? 1250 : 2688;
      add(lengths.named(lengths.name() + LINEAR), blocks, LinearCost.LINE, setups, skipped);
    }
    context.plan((long) setups.size() * CAPS);
    List<StabilityCase> cases = new ArrayList<>();
    for (ServingSetup setup : setups) {
      StableRegion region = setup.region();
      int requests = requests(context, setup, region);
      List<Load> loads =
          context.seedList().stream()
              .map(seed -> Load.of(setup.lengths(), requests, seed))
              .toList();
      int cap = loads.getFirst().bestCap(context, setup, OVERLOAD * region.sustainableRate(), CAPS);
      cases.add(new StabilityCase(setup, region, loads, Contenders.of(setup, cap), cap));
    }
    return cases;
  }

  private static void add(
      RequestLengths lengths,
      long blocks,
      IterationTime time,
      List<ServingSetup> setups,
      Map<String, String> skipped) {
    KvCapacity memory = new KvCapacity(blocks, BLOCK_SIZE, 0);
    long longest = (long) lengths.maxPromptTokens() + lengths.maxOutputTokens();
    if (longest <= memory.tokens()) {
      setups.add(new ServingSetup(lengths, memory, LIMITS, time));
      return;
    }
    skipped.put(
        lengths.name() + ", " + Texts.count(blocks) + " blocks",
        "a prompt of "
            + Texts.count(lengths.maxPromptTokens())
            + " tokens and the declared output of "
            + Texts.count(lengths.maxOutputTokens())
            + " do not fit into "
            + Texts.count(memory.tokens()));
  }

  /** LMSYS, the conversation trace as far as it fits a context, and a bimodal distribution. */
  static List<RequestLengths> lengths(ExperimentData data) {
    RequestLengths conversation = data.conversationLengths();
    return List.of(
        data.lmsys(),
        conversation.filter(row -> row.totalTokens() <= CONTEXT_TOKENS),
        RequestLengths.drawn(
            "bimodal 100/400/1500",
            6_000,
            LengthDistribution.parse("uniform:20-200"),
            LengthDistribution.parse("mixture:1*fixed:100+1*fixed:400+1*fixed:1500"),
            row -> true));
  }

  /** As many as a budget of iterations allows: with little memory a request takes more of them. */
  private static int requests(ExperimentContext context, ServingSetup setup, StableRegion region) {
    double iterationsEach =
        setup.lengths().meanOutputTokens() / region.requests(region.usableTokens());
    int usual = (int) Math.clamp(USUAL_ITERATIONS / iterationsEach, LEAST_REQUESTS, MOST_REQUESTS);
    return context.scaled(usual, LEAST_SCALED_REQUESTS);
  }

  private static Curve curve(ExperimentContext context, Task task) {
    List<Metrics> sweep = new ArrayList<>();
    int unstable = -1;
    for (double share : SWEEP) {
      Metrics metrics = serve(context, task, share);
      if (unstable < 0 && !stable(metrics, task.at().fluidRate() * share)) {
        unstable = sweep.size();
      }
      sweep.add(metrics);
    }
    if (unstable < 0) {
      context.skip(BISECTIONS);
      return new Curve(task, sweep, OVERLOAD);
    }
    double low = unstable == 0 ? 0 : SWEEP[unstable - 1];
    double high = SWEEP[unstable];
    for (int i = 0; i < BISECTIONS; i++) {
      double middle = (low + high) / 2;
      if (stable(serve(context, task, middle), task.at().fluidRate() * middle)) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return new Curve(task, sweep, low);
  }

  private static Metrics serve(ExperimentContext context, Task task, double share) {
    StabilityCase at = task.at();
    return at.loads()
        .get(task.seed())
        .serve(
            context,
            at.setup(),
            task.policy(),
            share * at.fluidRate(),
            Optional.of(OBJECTIVES),
            new SimulationListener() {});
  }

  private static boolean stable(Metrics metrics, double rate) {
    return metrics.backlog().map(trend -> trend.stable(rate)).orElse(true);
  }

  /** Turns outcomes into tables, plots, goals and words. */
  private static final class StabilityReport {
    private final ExperimentContext context;
    private final List<StabilityCase> cases;
    private final List<Outcome> outcomes;
    private final Map<String, String> skipped;

    StabilityReport(
        ExperimentContext context,
        List<StabilityCase> cases,
        List<Outcome> outcomes,
        Map<String, String> skipped) {
      this.context = context;
      this.cases = cases;
      this.outcomes = outcomes;
      this.skipped = skipped;
    }

    ExperimentResult result() {
      List<Table> tables = new ArrayList<>();
      tables.add(caseTable());
      Map<String, List<StabilityCase>> byLengths =
          cases.stream()
              .collect(
                  Collectors.groupingBy(
                      at -> at.setup().lengths().name(), LinkedHashMap::new, Collectors.toList()));
      byLengths.forEach(
          (name, group) -> {
            tables.add(stableTable(name, group));
            tables.add(overloadTable(name, group));
            tables.add(recomputedTable(name, group));
          });
      List<Goal> goals = new ArrayList<>();
      if (anyWeir()) {
        tables.add(goalTable());
        goals.addAll(goals());
      }
      tables.add(sweepTable());
      tables.add(workloadTable());
      return new ExperimentResult(
          "stability",
          "Stability: what rate every policy sustains",
          question(),
          findings(),
          settings(),
          tables,
          plots(),
          goals);
    }

    private Optional<Outcome> outcome(StabilityCase at, String label) {
      return outcomes.stream()
          .filter(each -> each.at() == at && each.policy().label().equals(label))
          .findFirst();
    }

    private List<Outcome> outcomes(StabilityCase at) {
      return outcomes.stream().filter(each -> each.at() == at).toList();
    }

    private boolean anyWeir() {
      return outcomes.stream().anyMatch(each -> each.policy().label().equals(Contenders.WEIR));
    }

    private List<String> question() {
      return List.of(
          "How much load does each policy carry, and what happens above that? The arrival rate"
              + " (Poisson) is swept through the fluid limit mu at several capacities and length"
              + " distributions, with the same requests for every policy. Every client declares the"
              + " longest output of the distribution; what else a policy is told stands beside it.",
          "A rate is stable if the number of requests in the system does not grow over the second"
              + " half of the arrival window: a regression line through the means of "
              + BacklogTrend.BATCHES
              + " batches has no slope above 0 by a one-sided t-test at 95 %, or the growth is at most"
              + " 1 % of the arrivals or three times the square root of the mean number in the"
              + " system, which varies at least as a Poisson number does. The largest stable rate lies below the lowest"
              + " unstable rate of the sweep and is found by bisection, for each seed by itself."
              + " Overload is "
              + OVERLOAD
              + " mu; throughput counts output tokens inside the arrival window after the first 20 %"
              + " of it. Goodput counts requests with TTFT up to 2 s and TPOT up to 100 ms.",
          "mu is that of the fluid model with the line through the profile's own time for the full"
              + " pool, prefill included. Iterations take what Vidur's profile of Llama-2-7B on an"
              + " A100 says, in mixed batches of at most 256 sequences and 2,048 tokens; beyond 129"
              + " sequences the profile's attention costs nothing more, so the rates of cases that"
              + " are bound by the number of sequences are too high. The cases named 'linear cost',"
              + " those of the probe in section 5 of scheduling.md, take "
              + LinearCost.TEXT
              + " instead.");
    }

    private Table caseTable() {
      Table.Builder table =
          Table.titled("cases", "Cases")
              .column("lengths")
              .column("blocks")
              .column("requests")
              .column("fluid mu", "requests/s")
              .column("bound by")
              .column("requests that a full pool runs")
              .column("residual of the line", "%")
              .column("cap of capped-fcfs")
              .note(skippedNote());
      for (StabilityCase at : cases) {
        StableRegion region = at.region();
        table.row(
            at.setup().lengths().name(),
            at.setup().memory().blocks(),
            at.loads().getFirst().unit().arrivals().size(),
            at.fluidRate(),
            region.bound().toString(),
            region.requests(region.usableTokens()),
            100 * region.residual(),
            at.cap());
      }
      return table.build();
    }

    private String skippedNote() {
      List<String> notes = new ArrayList<>();
      skipped.forEach((what, why) -> notes.add("Left out: " + what + ", as " + why + "."));
      cases.stream()
          .flatMap(at -> at.contenders().leftOut().entrySet().stream())
          .map(entry -> "Left out: " + entry.getKey() + ", as " + entry.getValue() + ".")
          .distinct()
          .forEach(notes::add);
      return String.join(" ", notes);
    }

    private Table pivot(
        String id,
        String title,
        String unit,
        List<StabilityCase> group,
        Function<Outcome, Object> figure) {
      Table.Builder table = Table.titled(id, title).column("policy").column("knows");
      group.forEach(at -> table.column(at.blocks(), unit));
      List<Policy> policies =
          outcomes.stream()
              .filter(each -> group.contains(each.at()))
              .map(Outcome::policy)
              .collect(Collectors.toMap(Policy::label, p -> p, (a, b) -> a, LinkedHashMap::new))
              .values()
              .stream()
              .toList();
      for (Policy policy : policies) {
        List<Object> row = new ArrayList<>();
        row.add(policy.label());
        row.add(Contenders.knows(policy));
        for (StabilityCase at : group) {
          row.add(outcome(at, policy.label()).map(figure).orElse(Double.NaN));
        }
        table.row(row.toArray());
      }
      return table.build();
    }

    private Table stableTable(String name, List<StabilityCase> group) {
      Table table =
          pivot(
              "largest-stable-rate-" + Texts.id(name),
              "Largest stable rate, " + name,
              "requests/s",
              group,
              each ->
                  Estimate.of(
                      each.curves(), curve -> curve.largestStable() * each.at().fluidRate()));
      List<List<Cell>> rows = new ArrayList<>(table.rows());
      List<Cell> fluid = new ArrayList<>(List.of(Cell.of("fluid mu"), Cell.of("")));
      group.forEach(at -> fluid.add(Cell.of(at.fluidRate())));
      rows.addFirst(fluid);
      return new Table(
          table.id(),
          table.title(),
          "A rate of " + OVERLOAD + " mu means that no unstable one was found.",
          table.columns(),
          rows,
          false);
    }

    private Table overloadTable(String name, List<StabilityCase> group) {
      return pivot(
          "overload-throughput-" + Texts.id(name),
          "Throughput at " + OVERLOAD + " mu, " + name,
          "tokens/s",
          group,
          Outcome::overload);
    }

    private Table recomputedTable(String name, List<StabilityCase> group) {
      return pivot(
          "overload-recomputed-" + Texts.id(name),
          "Recomputed tokens over useful ones at " + OVERLOAD + " mu, " + name,
          "%",
          group,
          each -> each.figure(SWEEP.length - 1, metrics -> 100 * metrics.recomputedShare()));
    }

    private Table sweepTable() {
      Table.Builder table =
          Table.titled("sweep", "All rates of the sweep")
              .detail()
              .column("lengths")
              .column("blocks")
              .column("policy")
              .column("rate over mu")
              .column("rate", "requests/s")
              .column("seeds that are stable")
              .column("throughput", "tokens/s")
              .column("goodput", "requests/s")
              .column("TTFT mean", "s")
              .column("TTFT p99", "s")
              .column("TPOT mean", "s")
              .column("TPOT p99", "s")
              .column("evictions")
              .column("recomputed", "%")
              .column("KV use", "%")
              .column("idle", "%")
              .column("refused")
              .column("clipped");
      for (Outcome each : outcomes) {
        for (int i = 0; i < SWEEP.length; i++) {
          int rate = i;
          double perSecond = SWEEP[i] * each.at().fluidRate();
          table.row(
              each.at().setup().lengths().name(),
              each.at().setup().memory().blocks(),
              each.policy().label(),
              SWEEP[i],
              perSecond,
              each.curves().stream()
                  .filter(curve -> stable(curve.sweep().get(rate), perSecond))
                  .count(),
              each.figure(i, Metrics::windowOutputTokensPerSecond),
              each.figure(i, Metrics::goodput),
              each.figure(i, metrics -> metrics.timeToFirstToken().mean()),
              each.figure(i, metrics -> metrics.timeToFirstToken().p99()),
              each.figure(i, metrics -> metrics.timePerOutputToken().mean()),
              each.figure(i, metrics -> metrics.timePerOutputToken().p99()),
              each.figure(i, Metrics::evictions),
              each.figure(i, metrics -> 100 * metrics.recomputedShare()),
              each.figure(i, metrics -> 100 * metrics.kvMean()),
              each.figure(i, metrics -> 100 * metrics.idleShare()),
              each.figure(i, metrics -> metrics.requests() - metrics.finished()),
              each.figure(i, Metrics::clipped));
        }
      }
      return table.build();
    }

    private Table workloadTable() {
      Table.Builder table =
          Table.titled("workloads", "Workloads, at one request a second")
              .detail()
              .column("lengths")
              .column("blocks")
              .column("seed")
              .column("SHA-256");
      for (StabilityCase at : cases) {
        for (int seed = 0; seed < context.seeds(); seed++) {
          table.row(
              at.setup().lengths().name(),
              at.setup().memory().blocks(),
              context.seedList().get(seed),
              at.loads().get(seed).unit().sha256());
        }
      }
      return table.build();
    }

    private List<Plot> plots() {
      List<Plot> plots = new ArrayList<>();
      for (StabilityCase at : cases) {
        plots.add(
            plot(
                at,
                "throughput",
                "Throughput",
                Axis.linear("output tokens/s"),
                Metrics::windowOutputTokensPerSecond));
        plots.add(
            plot(at, "goodput", "Goodput", Axis.linear("requests/s in time"), Metrics::goodput));
        plots.add(
            plot(
                at,
                "ttft",
                "TTFT p99",
                Axis.logarithmic("seconds"),
                metrics -> metrics.timeToFirstToken().p99()));
      }
      return plots;
    }

    private Plot plot(
        StabilityCase at, String id, String title, Axis y, ToDoubleFunction<Metrics> figure) {
      List<Series> series = new ArrayList<>();
      for (Outcome each : outcomes(at)) {
        List<Point> points =
            IntStream.range(0, SWEEP.length)
                .mapToObj(i -> Point.of(SWEEP[i] * at.fluidRate(), each.figure(i, figure)))
                .toList();
        series.add(new Series(each.policy().label(), Style.LINE, points));
      }
      return new Plot(
          id + "-" + at.id(),
          title + ", " + at.title(),
          "",
          Axis.linear("arrivals, requests/s"),
          y,
          series,
          List.of(new Marker(Orientation.VERTICAL, at.fluidRate(), "fluid mu")));
    }

    private static Estimate percent(Estimate ratio) {
      return new Estimate(100 * ratio.mean(), 100 * ratio.halfWidth(), ratio.count());
    }

    /** The better of {@code mcsf} and {@code mcsf} with pacing, by throughput in overload. */
    private Optional<Outcome> reference(StabilityCase at) {
      return Stream.of(Contenders.MCSF, Contenders.PACED_MCSF)
          .flatMap(label -> outcome(at, label).stream())
          .max(Comparator.comparingDouble(each -> each.overload().mean()));
    }

    private Optional<Worst> overloadShare(StabilityCase at) {
      return outcome(at, Contenders.WEIR)
          .flatMap(
              weir ->
                  reference(at)
                      .map(
                          reference ->
                              new Worst(
                                  percent(
                                      weir.ratio(
                                          reference,
                                          SWEEP.length - 1,
                                          Metrics::windowOutputTokensPerSecond)),
                                  at.title() + ", of " + reference.policy().label())));
    }

    private List<Worst> recomputed(StabilityCase at) {
      return outcome(at, Contenders.WEIR).stream()
          .flatMap(
              weir ->
                  IntStream.range(0, SWEEP.length)
                      .mapToObj(
                          i ->
                              new Worst(
                                  weir.figure(i, metrics -> 100 * metrics.recomputedShare()),
                                  at.title() + ", " + SWEEP[i] + " mu")))
          .toList();
    }

    private List<Worst> against(
        StabilityCase at, String other, double mostLoad, ToDoubleFunction<Metrics> figure) {
      Optional<Outcome> weir = outcome(at, Contenders.WEIR);
      Optional<Outcome> opponent = outcome(at, other);
      if (weir.isEmpty() || opponent.isEmpty()) {
        return List.of();
      }
      return IntStream.range(0, SWEEP.length)
          .filter(i -> SWEEP[i] < mostLoad)
          .mapToObj(
              i ->
                  new Worst(
                      percent(weir.get().ratio(opponent.get(), i, figure)),
                      at.title()
                          + ", "
                          + SWEEP[i]
                          + " mu"
                          + mcsfPart(at, opponent.get(), i, figure)))
          .toList();
    }

    /** What a policy that knows every length reaches there puts a figure into proportion. */
    private String mcsfPart(
        StabilityCase at, Outcome opponent, int rate, ToDoubleFunction<Metrics> figure) {
      return outcome(at, Contenders.MCSF)
          .map(
              mcsf ->
                  ", mcsf "
                      + Texts.number(percent(mcsf.ratio(opponent, rate, figure)).mean(), 1)
                      + " %")
          .orElse("");
    }

    private static double ttft(Metrics metrics) {
      return metrics.timeToFirstToken().p99();
    }

    private Table goalTable() {
      Table.Builder table =
          Table.titled("weir", "Policy weir against the goals, case by case")
              .note(
                  "The reference is the better of mcsf and mcsf behind pacing, in overload. Ratios are"
                      + " taken seed by seed. Goals for throughput in overload and recomputed tokens"
                      + " hold for cases that are bound by memory.")
              .column("lengths")
              .column("blocks")
              .column("bound by")
              .column("throughput of the reference's", "%")
              .column("most recomputed", "%")
              .column("largest stable rate over fcfs")
              .column("least throughput of capped-fcfs's", "%")
              .column("most p99 TTFT of capped-fcfs's", "%")
              .column("most p99 TTFT of fcfs's at low load", "%");
      for (StabilityCase at : cases) {
        table.row(
            at.setup().lengths().name(),
            at.setup().memory().blocks(),
            at.region().bound().toString(),
            overloadShare(at).orElse(Worst.NONE).figure(),
            Worst.most(recomputed(at)).figure(),
            stableRatio(at, Contenders.WEIR).figure(),
            cappedThroughput(at).figure(),
            cappedTtft(at).figure(),
            lowLoadTtft(at).figure());
      }
      return table.build();
    }

    private Worst stableRatio(StabilityCase at, String label) {
      Optional<Outcome> weir = outcome(at, label);
      Optional<Outcome> fcfs = outcome(at, Contenders.FCFS);
      if (weir.isEmpty() || fcfs.isEmpty()) {
        return Worst.NONE;
      }
      double[] ratios =
          IntStream.range(0, context.seeds())
              .mapToDouble(
                  seed -> {
                    double other = fcfs.get().curves().get(seed).largestStable();
                    return other == 0
                        ? Double.NaN
                        : weir.get().curves().get(seed).largestStable() / other;
                  })
              .toArray();
      return new Worst(Estimate.of(ratios), clairvoyantPart(at, label));
    }

    private String clairvoyantPart(StabilityCase at, String label) {
      return label.equals(Contenders.MCSF)
          ? at.title()
          : "mcsf " + Texts.number(stableRatio(at, Contenders.MCSF).figure().mean(), 3);
    }

    private List<Goal> goals() {
      List<StabilityCase> bound = cases.stream().filter(at -> at.setup().memoryBound()).toList();
      String lmsys = context.data().lmsys().name();
      return List.of(
          worstGoal(
              "weir: throughput in overload, of the better of mcsf and paced mcsf, worst of the"
                  + " memory-bound cases",
              Goal.Bound.AT_LEAST,
              GOAL_THROUGHPUT,
              bound.stream().map(at -> overloadShare(at).orElse(Worst.NONE)).toList()),
          worstGoal(
              "weir: recomputed tokens over useful ones, worst load of the memory-bound cases",
              Goal.Bound.AT_MOST,
              GOAL_RECOMPUTED,
              bound.stream().map(at -> Worst.most(recomputed(at))).toList()),
          stableGoal(lmsys),
          stableGoal(lmsys + LINEAR),
          worstGoal(
              "weir: throughput of that of tuned capped-fcfs, worst load of all cases",
              Goal.Bound.AT_LEAST,
              GOAL_CAPPED_THROUGHPUT,
              cases.stream().map(this::cappedThroughput).toList()),
          worstGoal(
              "weir: p99 TTFT of that of tuned capped-fcfs, worst load of all cases",
              Goal.Bound.AT_MOST,
              GOAL_CAPPED_TTFT,
              cases.stream().map(this::cappedTtft).toList()),
          worstGoal(
              "weir: p99 TTFT of that of fcfs at low load, worst case below 0.5 mu",
              Goal.Bound.AT_MOST,
              GOAL_LOW_LOAD_TTFT,
              cases.stream().map(this::lowLoadTtft).toList()));
    }

    private Worst cappedThroughput(StabilityCase at) {
      return Worst.least(
          against(
              at, Contenders.CAPPED_FCFS, Double.MAX_VALUE, Metrics::windowOutputTokensPerSecond));
    }

    private Worst cappedTtft(StabilityCase at) {
      return Worst.most(
          against(at, Contenders.CAPPED_FCFS, Double.MAX_VALUE, StabilityReport::ttft));
    }

    private Worst lowLoadTtft(StabilityCase at) {
      return Worst.most(against(at, Contenders.FCFS, LOW_LOAD, StabilityReport::ttft));
    }

    /** The worst case decides; the note says which it is, and how many reach the target. */
    private static Goal worstGoal(
        String text, Goal.Bound bound, double target, List<Worst> byCase) {
      boolean atLeast = bound == Goal.Bound.AT_LEAST;
      Worst worst = atLeast ? Worst.least(byCase) : Worst.most(byCase);
      long reached =
          byCase.stream()
              .mapToDouble(each -> each.figure().mean())
              .filter(mean -> atLeast ? mean >= target : mean <= target)
              .count();
      return new Goal(
          text,
          bound,
          target,
          worst.figure(),
          "%",
          worst.where() + "; reached in " + reached + " of " + byCase.size() + " cases");
    }

    private Goal stableGoal(String lengths) {
      Worst stable =
          cases.stream()
              .filter(
                  at ->
                      at.setup().lengths().name().equals(lengths)
                          && at.setup().memory().blocks() == GOAL_STABLE_BLOCKS)
              .findFirst()
              .map(at -> stableRatio(at, Contenders.WEIR))
              .orElse(Worst.NONE);
      return Goal.atLeast(
          "weir: largest stable rate over that of fcfs, " + lengths + " at 1,250 blocks",
          GOAL_STABLE,
          stable.figure(),
          "",
          stable.where());
    }

    private List<String> findings() {
      List<String> findings = new ArrayList<>();
      StringBuilder stable = new StringBuilder("Largest stable rate over mu, all cases: ");
      stable.append(
          perPolicy(outcome -> outcome.largestStable().mean()).entrySet().stream()
              .map(entry -> entry.getKey() + " " + Texts.range(entry.getValue()))
              .collect(Collectors.joining("; ")));
      findings.add(stable.append('.').toString());
      String recomputing =
          perPolicy(outcome -> outcome.figure(SWEEP.length - 1, Metrics::recomputedShare).mean())
              .entrySet()
              .stream()
              .filter(entry -> entry.getValue().stream().anyMatch(share -> share > 0))
              .map(entry -> entry.getKey() + " " + Texts.range(entry.getValue()))
              .collect(Collectors.joining("; "));
      findings.add(
          recomputing.isEmpty()
              ? "Nobody recomputes a token in overload."
              : "Recomputed tokens in overload, all cases: "
                  + recomputing
                  + "; none for the others.");
      findings.add(
          "Highest throughput in overload: "
              + cases.stream()
                  .map(
                      at ->
                          outcomes(at).stream()
                              .max(Comparator.comparingDouble(each -> each.overload().mean()))
                              .map(
                                  best ->
                                      at.title()
                                          + ": "
                                          + best.policy().label()
                                          + ", "
                                          + Texts.number(best.overload().mean(), 0)
                                          + " tokens/s"
                                          + fcfsPart(at))
                              .orElse(at.title() + ": none"))
                  .collect(Collectors.joining("; "))
              + ".");
      return findings;
    }

    private String fcfsPart(StabilityCase at) {
      return outcome(at, Contenders.FCFS)
          .map(fcfs -> " (fcfs " + Texts.number(fcfs.overload().mean(), 0) + ")")
          .orElse("");
    }

    private Map<String, List<Double>> perPolicy(ToDoubleFunction<Outcome> figure) {
      Map<String, List<Double>> figures = new LinkedHashMap<>();
      for (Outcome each : outcomes) {
        figures
            .computeIfAbsent(each.policy().label(), label -> new ArrayList<>())
            .add(figure.applyAsDouble(each));
      }
      return figures;
    }

    private List<Setting> settings() {
      List<Setting> settings = new ArrayList<>();
      settings.add(new Setting("seeds", "1 to " + context.seeds()));
      settings.add(new Setting("scale", Double.toString(context.scale())));
      settings.add(new Setting("iteration time", "profile of Llama-2-7B on an A100 (Vidur)"));
      settings.add(new Setting("iteration time, linear cost", LinearCost.TEXT));
      settings.add(new Setting("iteration", "at most 256 sequences and 2,048 tokens"));
      settings.add(new Setting("block", BLOCK_SIZE + " tokens"));
      settings.add(
          new Setting(
              "rates over mu",
              Arrays.toString(SWEEP) + " and " + BISECTIONS + " steps of bisection"));
      settings.add(new Setting("eviction", "recompute"));
      settings.add(
          new Setting(
              "conversation",
              "requests of more than "
                  + Texts.count(CONTEXT_TOKENS)
                  + " tokens, the context of Llama-2, are left out: "
                  + Texts.count(
                      context.data().conversation().arrivals().stream()
                          .filter(row -> row.totalTokens() > CONTEXT_TOKENS)
                          .count())
                  + " of "
                  + Texts.count(context.data().conversation().arrivals().size())));
      settings.add(
          new Setting(
              "bimodal", "prompts uniform in 20..200, outputs 100, 400 or 1500, equally likely"));
      outcomes.stream()
          .map(Outcome::policy)
          .filter(policy -> !policy.options().isEmpty())
          .filter(policy -> !policy.label().equals(Contenders.CAPPED_FCFS))
          .distinct()
          .forEach(
              policy -> settings.add(new Setting(policy.label(), policy.options().toString())));
      return settings;
    }
  }
}
