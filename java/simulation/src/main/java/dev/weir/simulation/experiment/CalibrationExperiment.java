package dev.weir.simulation.experiment;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Workload;
import dev.weir.scheduling.fluid.NestedWaitThresholds;
import dev.weir.simulation.Arrival;
import dev.weir.simulation.ArrivalList;
import dev.weir.simulation.ArrivalProcess;
import dev.weir.simulation.LinearIterationTime;
import dev.weir.simulation.ProfileIterationTime;
import dev.weir.simulation.SimulationOptions;
import dev.weir.simulation.SimulationResult;
import dev.weir.simulation.SimulationSemantics;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.commons.math3.stat.interval.ConfidenceInterval;
import org.apache.commons.math3.stat.interval.WilsonScoreInterval;

/**
 * Are the probabilities true that schedulers reckon with: the overflow that {@code headroom} and
 * {@code weir} predict of each admission, and the {@code delta} of Nested WAIT's safety buffer?
 */
final class CalibrationExperiment implements Experiment {
  private static final int REQUESTS = 6000;

  /** Arrival rate over the rate that fills the memory, so that every admission is a close call. */
  private static final double OVERLOAD = 1.1;

  private static final BatchLimits LIMITS = new BatchLimits(256, 2048);

  private static final int SAMPLE_EVERY = 50;
  private static final int DRAWS = 100;

  private static final int HORIZON = 2000;
  private static final double DELTA = 0.05;
  private static final int WALKS = 2000;
  private static final int NESTED_RUNS_A_SEED = 40;

  /** Those of section 4 of scheduling.md. */
  private static final List<EntranceWalk> WALK_EXAMPLES =
      List.of(
          new EntranceWalk(20, 0.5, 11), new EntranceWalk(20, 0.3, 8), new EntranceWalk(8, 0.5, 5));

  /** Half of the requests end at the first boundary, and half of the others at the second. */
  private static final RequestLengths STRICT_LENGTHS =
      RequestLengths.of(
          "20/4, 20/4, 20/8, 20/12",
          new ArrivalList(
              "20/4, 20/4, 20/8, 20/12",
              List.of(
                  new Arrival(0, 20, 4),
                  new Arrival(0, 20, 4),
                  new Arrival(0, 20, 8),
                  new Arrival(0, 20, 12))));

  private static final List<Integer> STRICT_BOUNDARIES = List.of(4, 8);
  private static final double[] STRICT_THRESHOLDS = {20, 11, 6};
  private static final BatchLimits STRICT_LIMITS = new BatchLimits(1024, 1 << 20);

  private record Served(String title, String id, ServingSetup setup) {
    double rate() {
      return OVERLOAD * setup.region().sustainableRate();
    }
  }

  private record Run(Served load, Policy policy, long seed) {}

  /**
   * What a run says.
   *
   * @param reliability of all admissions
   * @param judgements all admissions
   * @param reference of a sample of them
   */
  private record Judged(
      Reliability reliability, List<OverflowJudge.Judgement> judgements, Reference reference) {}

  /**
   * Means over a sample of admissions.
   *
   * @param predicted by the policy
   * @param worstIteration by the true distribution, for the worst iteration
   * @param anyIteration by the true distribution, for all iterations together
   * @param realised share that overflowed
   */
  private record Reference(
      double predicted, double worstIteration, double anyIteration, double realised) {}

  private record Calibrated(Served load, Policy policy, List<Judged> bySeed, Reliability pooled) {
    Estimate of(ToDoubleFunction<Reliability> figure) {
      return Estimate.of(bySeed, judged -> figure.applyAsDouble(judged.reliability()));
    }
  }

  @Override
  public String name() {
    return "calibration";
  }

  @Override
  public String description() {
    return "predicted overflow probabilities, and the delta of Nested WAIT, against what happens";
  }

  @Override
  public ExperimentResult run(ExperimentContext context) {
    List<Served> loads = loads(context);
    List<Policy> policies = policies();
    int nestedRuns = context.seeds() * context.scaled(NESTED_RUNS_A_SEED, 1);
    context.plan((long) loads.size() * policies.size() * context.seeds() + nestedRuns);

    List<Calibrated> calibrated = predictions(context, loads, policies);
    StrictEntrances entrances = strictEntrances(context, nestedRuns);
    List<WalkResult> walks = walks(context);

    List<Table> tables = new ArrayList<>();
    tables.add(summary(calibrated));
    tables.add(referenceTable(calibrated));
    tables.add(deciles(calibrated));
    tables.add(walkTable(walks));
    tables.add(entrances.table());
    List<Plot> plots = loads.stream().map(load -> plot(load, calibrated)).toList();

    List<Goal> goals = new ArrayList<>();
    for (WalkResult walk : walks) {
      goals.add(
          Goal.atMost(
              walk.walk().text() + ": share of walks above the bound Q",
              100 * DELTA,
              Estimate.exactly(100.0 * walk.brokenByWalk() / walk.runs()),
              "%",
              walk.runs() + " walks of " + HORIZON + " iterations"));
    }
    goals.add(
        Goal.atMost(
            "Nested WAIT, strict: share of runs with an entrance queue above its bound",
            100 * DELTA,
            Estimate.exactly(100.0 * entrances.brokenRuns() / nestedRuns),
            "%",
            nestedRuns + " runs of " + HORIZON + " iterations"));

    return new ExperimentResult(
        name(),
        "Predicted and realised overflow",
        List.of(
            "When headroom or weir admit a request, they predict the probability that the requests"
                + " resident at that moment come to need more than the pool before they end, if"
                + " nobody else is admitted. Each prediction is judged by the true lengths: exactly,"
                + " rounded up to whole blocks, with all residents advancing in every iteration."
                + " Arrivals come at "
                + OVERLOAD
                + " times the rate that fills the memory.",
            "Nested WAIT's safety buffer promises that with probability 1 - delta no entrance queue"
                + " exceeds Q_k within B iterations. That is measured on the Lindley walk that the"
                + " bound is derived from, on an entrance alone, and on strict Nested WAIT."),
        findings(calibrated, walks, entrances),
        settings(context, loads, policies),
        tables,
        plots,
        goals);
  }

  // ---- predictions of admissions

  private static List<Served> loads(ExperimentContext context) {
    ProfileIterationTime time = ProfileIterationTime.a100Llama2();
    List<Served> loads = new ArrayList<>();
    for (RequestLengths lengths : StabilityExperiment.lengths(context.data())) {
      long blocks = lengths == context.data().lmsys() ? 1250 : 2500;
      loads.add(
          new Served(
              lengths.name() + ", " + Texts.count(blocks) + " blocks",
              Texts.id(lengths.name()),
              new ServingSetup(lengths, new KvCapacity(blocks, 16, 0), LIMITS, time)));
    }
    return loads;
  }

  private static List<Policy> policies() {
    Policy headroom = Policy.of("headroom");
    return List.of(
        Policy.of("weir"),
        headroom.with("z", "1"),
        headroom.with("z", "1.5"),
        headroom.with("z", "2"),
        headroom.with("z", "3"));
  }

  private static List<Calibrated> predictions(
      ExperimentContext context, List<Served> loads, List<Policy> policies) {
    List<Run> runs = new ArrayList<>();
    for (Served load : loads) {
      for (Policy policy : policies) {
        for (long seed : context.seedList()) {
          runs.add(new Run(load, policy, seed));
        }
      }
    }
    List<Judged> judged = context.map(runs, run -> judge(context, run));
    List<Calibrated> calibrated = new ArrayList<>();
    for (int first = 0; first < runs.size(); first += context.seeds()) {
      List<Judged> bySeed = judged.subList(first, first + context.seeds());
      calibrated.add(
          new Calibrated(
              runs.get(first).load(),
              runs.get(first).policy(),
              bySeed,
              Reliability.of(bySeed.stream().flatMap(j -> j.judgements().stream()).toList())));
    }
    return calibrated;
  }

  private static Judged judge(ExperimentContext context, Run run) {
    Served load = run.load();
    OverflowJudge judge = new OverflowJudge(load.setup().memory(), SAMPLE_EVERY);
    context.simulate(
        load.setup().simulation(run.policy(), load.rate()),
        draw(context, load, run.seed()).arrivals().iterator(),
        judge);
    return new Judged(
        Reliability.of(judge.judgements()), judge.judgements(), reference(load, judge.samples()));
  }

  private static Reference reference(Served load, List<OverflowJudge.Sample> samples) {
    SampledForecast forecast = new SampledForecast(load.setup().lengths(), DRAWS);
    RandomGenerator random = new SplittableRandom(1);
    double predicted = 0;
    double worst = 0;
    double any = 0;
    double realised = 0;
    for (OverflowJudge.Sample sample : samples) {
      SampledForecast.Overflow overflow =
          forecast.overflow(load.setup().memory(), sample.residents(), random);
      predicted += sample.judgement().probability();
      worst += overflow.worstIteration();
      any += overflow.anyIteration();
      realised += sample.judgement().overflow() ? 1 : 0;
    }
    int count = samples.size();
    return new Reference(predicted / count, worst / count, any / count, realised / count);
  }

  private static ArrivalList draw(ExperimentContext context, Served load, long seed) {
    return load.setup()
        .lengths()
        .draw(context.scaled(REQUESTS, 100), new ArrivalProcess.Poisson(load.rate()), seed);
  }

  private static Table summary(List<Calibrated> calibrated) {
    Table.Builder table =
        Table.titled("summary", "Predicted and realised overflow of admissions")
            .note(
                "Intervals over the seeds. Brier score: mean squared error of the predictions;"
                    + " constant: that of always predicting the realised share.")
            .column("workload")
            .column("policy")
            .column("predictions")
            .column("predicted", "%")
            .column("realised", "%")
            .column("Brier score")
            .column("constant");
    for (Calibrated c : calibrated) {
      table.row(
          c.load().title(),
          c.policy().label(),
          c.pooled().predictions(),
          c.of(r -> 100 * r.meanPredicted()),
          c.of(r -> 100 * r.realised()),
          c.of(Reliability::brierScore),
          c.pooled().constantBrierScore());
    }
    return table.build();
  }

  private static Table referenceTable(List<Calibrated> calibrated) {
    Table.Builder table =
        Table.titled("reference", "What could be known")
            .note(
                "One in "
                    + SAMPLE_EVERY
                    + " admissions. worst iteration, any iteration: probability by the true"
                    + " distribution of output lengths, "
                    + DRAWS
                    + " draws each. predictOverflow asks for any iteration.")
            .column("workload")
            .column("policy")
            .column("predicted", "%")
            .column("worst iteration", "%")
            .column("any iteration", "%")
            .column("realised", "%");
    for (Calibrated c : calibrated) {
      table.row(
          c.load().title(),
          c.policy().label(),
          Estimate.of(c.bySeed(), j -> 100 * j.reference().predicted()),
          Estimate.of(c.bySeed(), j -> 100 * j.reference().worstIteration()),
          Estimate.of(c.bySeed(), j -> 100 * j.reference().anyIteration()),
          Estimate.of(c.bySeed(), j -> 100 * j.reference().realised()));
    }
    return table.build();
  }

  private static Table deciles(List<Calibrated> calibrated) {
    Table.Builder table =
        Table.titled("deciles", "By decile of the prediction")
            .detail()
            .note(
                "Admissions of all seeds in the order of their prediction, in ten groups; equal"
                    + " predictions stay together. The interval (95 %) takes predictions as"
                    + " independent, which those of neighbouring admissions are not: the true one is"
                    + " wider.")
            .column("workload")
            .column("policy")
            .column("decile")
            .column("from", "%")
            .column("to", "%")
            .column("predictions")
            .column("predicted", "%")
            .column("realised", "%")
            .column("low", "%")
            .column("high", "%");
    for (Calibrated c : calibrated) {
      int number = 0;
      for (Reliability.Group group : c.pooled().groups()) {
        number++;
        ConfidenceInterval interval = group.interval();
        table.row(
            c.load().title(),
            c.policy().label(),
            number,
            100 * group.from(),
            100 * group.to(),
            group.predictions(),
            100 * group.meanPredicted(),
            100 * group.realised(),
            100 * interval.getLowerBound(),
            100 * interval.getUpperBound());
      }
    }
    return table.build();
  }

  private static Plot plot(Served load, List<Calibrated> calibrated) {
    List<Plot.Series> series = new ArrayList<>();
    double largest = 0;
    for (Calibrated c : calibrated) {
      if (c.load().equals(load)) {
        List<Plot.Point> points = new ArrayList<>();
        for (Reliability.Group group : c.pooled().groups()) {
          ConfidenceInterval interval = group.interval();
          points.add(
              new Plot.Point(
                  group.meanPredicted(),
                  group.realised(),
                  (interval.getUpperBound() - interval.getLowerBound()) / 2));
          largest = Math.max(largest, Math.max(group.meanPredicted(), group.realised()));
        }
        series.add(new Plot.Series(c.policy().label(), Plot.Style.LINE, points));
      }
    }
    series.add(
        new Plot.Series(
            "perfect",
            Plot.Style.LINE,
            List.of(Plot.Point.of(0, 0), Plot.Point.of(largest, largest))));
    return new Plot(
        "reliability-" + load.id(),
        "Reliability, " + load.title(),
        "A point for each decile of the predictions.",
        Plot.Axis.linear("predicted probability of overflow"),
        Plot.Axis.linear("realised share"),
        series,
        List.of());
  }

  // ---- the delta of Nested WAIT

  private record WalkResult(
      EntranceWalk walk, double bound, int runs, int brokenByWalk, int brokenByQueue) {}

  private static List<WalkResult> walks(ExperimentContext context) {
    int runs = context.scaled(WALKS, 20);
    return context.map(
        WALK_EXAMPLES,
        walk -> {
          double bound = walk.bound(HORIZON, DELTA);
          SplittableRandom random = new SplittableRandom(1);
          int byWalk = 0;
          int byQueue = 0;
          for (int i = 0; i < runs; i++) {
            byWalk += walk.peakOfWalk(HORIZON, random) > bound ? 1 : 0;
            byQueue += walk.peakOfQueue(HORIZON, random) > bound ? 1 : 0;
          }
          return new WalkResult(walk, bound, runs, byWalk, byQueue);
        });
  }

  private static Table walkTable(List<WalkResult> walks) {
    Table.Builder table =
        Table.titled("walks", "The bound Q of an entrance on its own")
            .note(
                "Q for delta = "
                    + DELTA
                    + " and B = "
                    + HORIZON
                    + " iterations. Walk: n' plus the Lindley walk that the bound is derived from."
                    + " Queue: the entrance itself, which releases n' once that many wait. low and"
                    + " high: 95 % interval of the share of walks.")
            .column("n")
            .column("q")
            .column("n'")
            .column("bound Q", "requests")
            .column("runs")
            .column("walk above Q", "%")
            .column("low", "%")
            .column("high", "%")
            .column("queue above Q", "%");
    for (WalkResult w : walks) {
      ConfidenceInterval interval = interval(w.runs(), w.brokenByWalk());
      table.row(
          w.walk().released(),
          w.walk().continuation(),
          w.walk().next(),
          w.bound(),
          w.runs(),
          100.0 * w.brokenByWalk() / w.runs(),
          100 * interval.getLowerBound(),
          100 * interval.getUpperBound(),
          100.0 * w.brokenByQueue() / w.runs());
    }
    return table.build();
  }

  private static ConfidenceInterval interval(int runs, int events) {
    return new WilsonScoreInterval().createInterval(runs, events, Estimate.CONFIDENCE);
  }

  /**
   * @param table figures of each entrance
   * @param runs number of runs
   * @param brokenRuns runs in which some queue exceeded its bound
   * @param evictingRuns runs in which somebody was evicted
   */
  private record StrictEntrances(Table table, int runs, int brokenRuns, int evictingRuns) {}

  private record StrictRun(int[] longest, long evictions) {}

  /**
   * Nested WAIT with all requests there from the start, so that the first segment fires in every
   * iteration, which fills the entrances the most. The pool is what the buffer asks for.
   */
  private static StrictEntrances strictEntrances(ExperimentContext context, int runs) {
    Workload workload = STRICT_LENGTHS.workload(1);
    IterationCost cost = new IterationCost(0.01, 1e-5);
    NestedWaitThresholds.Settings settings =
        new NestedWaitThresholds.Settings(
            STRICT_THRESHOLDS.length, STRICT_BOUNDARIES, OptionalDouble.empty(), HORIZON, DELTA);
    NestedWaitThresholds thresholds =
        NestedWaitThresholds.of(
            workload,
            cost,
            new KvCapacity(1 << 20, 1, 0),
            STRICT_LIMITS,
            settings,
            STRICT_THRESHOLDS);
    long needed = (long) Math.ceil(thresholds.coreTokens() + thresholds.bufferTokens());
    SimulationOptions options =
        new SimulationOptions(
            "nested-wait",
            new SchedulerConfig(
                new KvCapacity(needed, 1, 0),
                STRICT_LIMITS,
                Preemption.RECOMPUTE,
                cost,
                Optional.of(workload),
                SchedulerOptions.of(
                    Map.of(
                        "mode", "strict",
                        "boundaries", list(STRICT_BOUNDARIES.stream()),
                        "thresholds",
                            list(DoubleStream.of(STRICT_THRESHOLDS).mapToObj(n -> (int) n)),
                        "horizon", String.valueOf(HORIZON),
                        "delta", String.valueOf(DELTA),
                        "drain", "1e6"))),
            new LinearIterationTime(cost),
            SimulationSemantics.WEIR,
            OptionalInt.of(STRICT_LENGTHS.maxOutputTokens()));
    List<StrictRun> outcomes =
        context.map(
            IntStream.rangeClosed(1, runs).boxed().toList(),
            seed -> strictRun(context, options, seed));
    return condense(thresholds, outcomes);
  }

  private static String list(Stream<Integer> numbers) {
    return numbers.map(String::valueOf).collect(Collectors.joining(","));
  }

  private static StrictRun strictRun(
      ExperimentContext context, SimulationOptions options, long seed) {
    EntranceQueues queues =
        new EntranceQueues(
            STRICT_BOUNDARIES.stream().mapToInt(Integer::intValue).toArray(), HORIZON);
    int requests = (int) STRICT_THRESHOLDS[0] * HORIZON;
    SimulationResult result =
        context.simulate(
            options,
            STRICT_LENGTHS.draw(requests, new ArrivalProcess.AtOnce(), seed).arrivals().iterator(),
            queues);
    return new StrictRun(queues.longest(), result.evictions());
  }

  private static StrictEntrances condense(
      NestedWaitThresholds thresholds, List<StrictRun> outcomes) {
    Table.Builder table =
        Table.titled("strict", "Nested WAIT, strict: entrance queues against their bounds")
            .note(
                "Longest queue after release within "
                    + HORIZON
                    + " iterations. The bounds hold together with probability 1 - delta = "
                    + (1 - DELTA)
                    + ". low and high: 95 % interval of the share of runs.")
            .column("entrance at", "tokens")
            .column("n")
            .column("q")
            .column("n'")
            .column("bound Q", "requests")
            .column("longest, mean", "requests")
            .column("longest of all", "requests")
            .column("runs")
            .column("above Q", "%")
            .column("low", "%")
            .column("high", "%");
    int runs = outcomes.size();
    for (int k = 1; k < thresholds.segments(); k++) {
      int entrance = k - 1;
      double bound = thresholds.queueBound(k);
      int[] longest = outcomes.stream().mapToInt(run -> run.longest()[entrance]).toArray();
      int broken = (int) IntStream.of(longest).filter(queue -> queue > bound).count();
      ConfidenceInterval interval = interval(runs, broken);
      table.row(
          thresholds.boundary(k),
          thresholds.threshold(k),
          thresholds.continuation(k),
          thresholds.threshold(k + 1),
          bound,
          IntStream.of(longest).average().orElseThrow(),
          IntStream.of(longest).max().orElseThrow(),
          runs,
          100.0 * broken / runs,
          100 * interval.getLowerBound(),
          100 * interval.getUpperBound());
    }
    Predicate<StrictRun> broken =
        run ->
            IntStream.range(0, run.longest().length)
                .anyMatch(k -> run.longest()[k] > thresholds.queueBound(k + 1));
    return new StrictEntrances(
        table.build(),
        runs,
        (int) outcomes.stream().filter(broken).count(),
        (int) outcomes.stream().filter(run -> run.evictions() > 0).count());
  }

  private static List<String> findings(
      List<Calibrated> calibrated, List<WalkResult> walks, StrictEntrances entrances) {
    List<String> findings = new ArrayList<>();
    Map<String, List<String>> byLoad = new LinkedHashMap<>();
    for (Calibrated c : calibrated) {
      Estimate predicted = c.of(r -> 100 * r.meanPredicted());
      Estimate realised = c.of(r -> 100 * r.realised());
      byLoad
          .computeIfAbsent(c.load().title(), _ -> new ArrayList<>())
          .add(
              String.format(
                  Locale.ROOT,
                  "%s %.2f / %.2f / %.2f (%s)",
                  c.policy().label(),
                  predicted.mean(),
                  Estimate.of(c.bySeed(), j -> 100 * j.reference().anyIteration()).mean(),
                  realised.mean(),
                  verdict(predicted.mean(), realised)));
    }
    byLoad.forEach(
        (load, policies) ->
            findings.add(
                load
                    + ", per cent of admissions predicted / by the true distribution / realised: "
                    + String.join("; ", policies)
                    + "."));
    for (WalkResult walk : walks) {
      findings.add(
          String.format(
              Locale.ROOT,
              "%s: bound %.1f, exceeded by %.1f %% of the walks and %.1f %% of the queues; delta is"
                  + " %.0f %%.",
              walk.walk().text(),
              walk.bound(),
              100.0 * walk.brokenByWalk() / walk.runs(),
              100.0 * walk.brokenByQueue() / walk.runs(),
              100 * DELTA));
    }
    findings.add(
        String.format(
            Locale.ROOT,
            "Strict Nested WAIT: some queue exceeds its bound in %d of %d runs (delta is %.0f %%);"
                + " somebody is evicted in %d.",
            entrances.brokenRuns(),
            entrances.runs(),
            100 * DELTA,
            entrances.evictingRuns()));
    return findings;
  }

  private static String verdict(double predicted, Estimate realised) {
    if (Double.isNaN(predicted) || Double.isNaN(realised.mean())) {
      return "a seed without predictions";
    }
    if (realised.low() > predicted) {
      return "too little";
    }
    return realised.high() < predicted ? "too much" : "in agreement";
  }

  private static List<Setting> settings(
      ExperimentContext context, List<Served> loads, List<Policy> policies) {
    List<Setting> settings = new ArrayList<>();
    settings.add(new Setting("seeds", context.seedList().toString()));
    settings.add(new Setting("requests", String.valueOf(context.scaled(REQUESTS, 100))));
    settings.add(new Setting("arrivals", "Poisson, at " + OVERLOAD + " times the rate"));
    settings.add(new Setting("limits", LIMITS.toString()));
    for (Served load : loads) {
      settings.add(
          new Setting(
              load.title() + ", arrivals a second",
              String.format(Locale.ROOT, "%.2f", load.rate())));
      settings.add(
          new Setting(load.title() + ", SHA-256, seed 1", draw(context, load, 1).sha256()));
    }
    for (Policy policy : policies) {
      settings.add(
          new Setting(policy.label(), policy.scheduler() + " " + new TreeMap<>(policy.options())));
    }
    settings.add(
        new Setting(
            "strict Nested WAIT",
            "lengths "
                + STRICT_LENGTHS
                + ", boundaries "
                + STRICT_BOUNDARIES
                + ", thresholds "
                + Arrays.toString(STRICT_THRESHOLDS)
                + ", all requests there at the start"));
    return settings;
  }
}
