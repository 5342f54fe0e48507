package dev.weir.simulation.experiment;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.KvCapacity;
import dev.weir.simulation.ArrivalList;
import dev.weir.simulation.IterationTime;
import dev.weir.simulation.LengthDistribution;
import dev.weir.simulation.ProfileIterationTime;
import dev.weir.simulation.SimulationListeners;
import dev.weir.simulation.SimulationOptions;
import dev.weir.simulation.experiment.Plot.Axis;
import dev.weir.simulation.experiment.Plot.Marker;
import dev.weir.simulation.experiment.Plot.Orientation;
import dev.weir.simulation.experiment.Plot.Point;
import dev.weir.simulation.experiment.Plot.Series;
import dev.weir.simulation.experiment.Plot.Style;
import dev.weir.simulation.experiment.Policy.Knowledge;
import dev.weir.simulation.metrics.ServiceObjectives;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * {@code nonstationary}: bursts of arrivals, and other lengths from the middle on. What was learned
 * or tuned in the first half is wrong in the second.
 */
final class NonstationaryExperiment implements Experiment {
  private static final KvCapacity MEMORY = new KvCapacity(2500, 16, 0);
  private static final BatchLimits LIMITS = new BatchLimits(256, 2048);
  private static final double HALF_SECONDS = 800;
  private static final double LEAST_SECONDS = 10;
  private static final int CAPS = 20;
  private static final int LEAST_CAP = 4;
  private static final int SLICES = 400;
  private static final ServiceObjectives OBJECTIVES = new ServiceObjectives(2, 0.1);

  private static final String FROZEN = "weir frozen";
  private static final String FROZEN_HEADROOM = "headroom frozen";
  private static final String CAPPED_FIRST = "capped-fcfs, first half";
  private static final String CAPPED_SECOND = "capped-fcfs, second half";

  /** Whose figures the findings name. */
  private static final List<String> FOUND =
      List.of(
          Contenders.WEIR, FROZEN, CAPPED_FIRST, CAPPED_SECOND, Contenders.FCFS, Contenders.MCSF);

  private static final double GOAL_THROUGHPUT = 99;
  private static final double GOAL_TTFT = 105;

  /**
   * Lengths before and after, and a device.
   *
   * @param first what is known at the start
   * @param loads one for each seed
   * @param caps tuned for each half
   * @param leftOut why a policy does not take part, by name
   */
  private record Case(
      String name,
      ServingSetup first,
      ServingSetup second,
      List<ShiftingLoad> loads,
      List<Integer> caps,
      List<Policy> policies,
      Map<String, String> leftOut) {
    int maxOutputTokens() {
      return Math.max(first.lengths().maxOutputTokens(), second.lengths().maxOutputTokens());
    }
  }

  private record Task(Case at, Policy policy, int seed) {}

  private record Run(
      Task task, HalfMetrics.Half first, HalfMetrics.Half second, TimeSeries series) {}

  private record Outcome(Case at, Policy policy, List<Run> runs) {
    Estimate of(ToDoubleFunction<Run> figure) {
      return Estimate.of(runs, figure);
    }

    Estimate ratio(Outcome other, ToDoubleFunction<Run> figure) {
      return Estimate.of(
          IntStream.range(0, runs.size())
              .mapToDouble(
                  seed ->
                      100
                          * figure.applyAsDouble(runs.get(seed))
                          / figure.applyAsDouble(other.runs.get(seed)))
              .toArray());
    }
  }

  @Override
  public String name() {
    return "nonstationary";
  }

  @Override
  public String description() {
    return "bursts, and other lengths from the middle on: online estimates against frozen ones and"
        + " against capped-fcfs tuned for the first half";
  }

  @Override
  public ExperimentResult run(ExperimentContext context) {
    List<Case> cases = cases(context);
    List<Task> tasks = new ArrayList<>();
    for (Case at : cases) {
      for (Policy policy : at.policies()) {
        for (int seed = 0; seed < context.seeds(); seed++) {
          tasks.add(new Task(at, policy, seed));
        }
      }
    }
    context.plan(tasks.size());
    List<Run> runs = context.map(tasks, task -> serve(context, task));
    List<Outcome> outcomes = new ArrayList<>();
    for (int i = 0; i < runs.size(); i += context.seeds()) {
      Task first = runs.get(i).task();
      outcomes.add(new Outcome(first.at(), first.policy(), runs.subList(i, i + context.seeds())));
    }
    return result(context, cases, outcomes);
  }

  private static List<Case> cases(ExperimentContext context) {
    RequestLengths lmsys = context.data().lmsys();
    RequestLengths bimodal =
        RequestLengths.drawn(
            "bimodal 100/400/1500",
            6_000,
            LengthDistribution.parse("uniform:20-200"),
            LengthDistribution.parse("mixture:1*fixed:100+1*fixed:400+1*fixed:1500"),
            row -> true);
    Map<String, IterationTime> times =
        Map.of("profile", ProfileIterationTime.a100Llama2(), "linear cost", LinearCost.LINE);
    List<Case> cases = new ArrayList<>();
    context.plan(2L * 4 * CAPS);
    for (String time : List.of("profile", "linear cost")) {
      for (List<RequestLengths> halves :
          List.of(List.of(lmsys, bimodal), List.of(bimodal, lmsys))) {
        cases.add(at(context, halves, time, times.get(time)));
      }
    }
    return cases;
  }

  private static Case at(
      ExperimentContext context, List<RequestLengths> halves, String timeName, IterationTime time) {
    ServingSetup first = new ServingSetup(halves.get(0), MEMORY, LIMITS, time);
    ServingSetup second = new ServingSetup(halves.get(1), MEMORY, LIMITS, time);
    List<Double> rates =
        List.of(first.region().sustainableRate(), second.region().sustainableRate());
    double half = Math.max(LEAST_SECONDS, HALF_SECONDS * context.scale());
    List<ShiftingLoad> loads =
        context.seedList().stream()
            .map(seed -> ShiftingLoad.draw(halves, rates, half, seed))
            .toList();
    List<Integer> caps =
        List.of(
            bestCap(context, first, rates.get(0), loads.getFirst().firstHalf()),
            bestCap(context, second, rates.get(1), loads.getFirst().secondHalf()));
    Map<String, String> leftOut = new TreeMap<>();
    List<Policy> policies = new ArrayList<>();
    for (Policy policy : policies(caps)) {
      Optional<String> obstacle = Contenders.obstacle(first, policy);
      if (obstacle.isPresent()) {
        leftOut.put(policy.label(), obstacle.get());
      } else {
        policies.add(policy);
      }
    }
    return new Case(
        halves.get(0) + ", then " + halves.get(1) + ", " + timeName,
        first,
        second,
        loads,
        caps,
        policies,
        leftOut);
  }

  private static int bestCap(
      ExperimentContext context, ServingSetup setup, double rate, ArrivalList half) {
    SimulationOptions options = setup.simulation(Policy.of(CapSearch.SCHEDULER), rate);
    List<CapSearch.Trial> trials =
        context.map(
            CapSearch.grid(LEAST_CAP, LIMITS.maxSequences(), CAPS),
            cap -> CapSearch.simulate(options, () -> half.arrivals().iterator(), cap, 0));
    context.skip(CAPS);
    return new CapSearch.Result(trials).best().cap();
  }

  private static List<Policy> policies(List<Integer> caps) {
    Policy capped = Policy.of(Contenders.CAPPED_FCFS);
    Policy mcsf = Policy.of(Contenders.MCSF).knowing(Knowledge.LENGTHS);
    return Stream.of(
            Policy.of(Contenders.WEIR),
            Policy.of(Contenders.WEIR)
                .with("estimates", "frozen")
                .knowing(Knowledge.DISTRIBUTION)
                .labelled(FROZEN),
            Policy.of("headroom"),
            Policy.of("headroom")
                .with("estimates", "frozen")
                .knowing(Knowledge.DISTRIBUTION)
                .labelled(FROZEN_HEADROOM),
            Policy.of("nested-wait").knowing(Knowledge.DISTRIBUTION),
            capped.with("cap", caps.get(0).toString()).labelled(CAPPED_FIRST),
            capped.with("cap", caps.get(1).toString()).labelled(CAPPED_SECOND),
            Policy.of(Contenders.FCFS),
            Policy.of("sarathi"),
            mcsf,
            mcsf.with("pace", "1.2").labelled(Contenders.PACED_MCSF))
        .toList();
  }

  private static Run serve(ExperimentContext context, Task task) {
    Case at = task.at();
    ShiftingLoad load = at.loads().get(task.seed());
    double end = load.arrivals().arrivals().getLast().seconds();
    HalfMetrics halves = new HalfMetrics(load.shift(), end, OBJECTIVES);
    TimeSeries series = new TimeSeries(0, end, SLICES);
    SimulationOptions planned =
        at.first().simulation(task.policy(), at.first().region().sustainableRate());
    context.simulate(
        new SimulationOptions(
            planned.scheduler(),
            planned.config(),
            planned.time(),
            planned.semantics(),
            OptionalInt.of(at.maxOutputTokens())),
        load.arrivals().arrivals().iterator(),
        SimulationListeners.both(halves, series));
    return new Run(task, halves.half(0), halves.half(1), series);
  }

  private static ExperimentResult result(
      ExperimentContext context, List<Case> cases, List<Outcome> outcomes) {
    List<Table> tables = new ArrayList<>();
    List<Plot> plots = new ArrayList<>();
    List<String> findings = new ArrayList<>();
    List<Setting> settings = new ArrayList<>();
    settings.add(new Setting("seeds", "1 to " + context.seeds()));
    settings.add(new Setting("scale", Double.toString(context.scale())));
    settings.add(new Setting("pool", MEMORY.blocks() + " blocks of " + MEMORY.blockSize()));
    settings.add(new Setting("iteration", "at most 256 sequences and 2,048 tokens"));
    settings.add(new Setting("linear cost", LinearCost.TEXT));
    settings.add(
        new Setting(
            "arrivals",
            "MMPP-2 at "
                + ShiftingLoad.LOW
                + " and "
                + ShiftingLoad.HIGH
                + " mu of the lengths of the time, each state for "
                + ShiftingLoad.STATE_SECONDS
                + " s on average, "
                + cases.getFirst().loads().getFirst().shift()
                + " s a half"));
    for (Case at : cases) {
      List<Outcome> here = outcomes.stream().filter(each -> each.at() == at).toList();
      tables.add(table(at, here));
      plots.addAll(plots(at, here));
      findings.add(finding(at, here));
      settings.add(new Setting("caps, " + at.name(), at.caps().toString()));
      at.leftOut()
          .forEach(
              (policy, why) ->
                  settings.add(new Setting("left out, " + at.name(), policy + ": " + why)));
      for (int seed = 0; seed < context.seeds(); seed++) {
        settings.add(
            new Setting(
                "workload SHA-256, " + at.name() + ", seed " + context.seedList().get(seed),
                at.loads().get(seed).arrivals().sha256()));
      }
    }
    return new ExperimentResult(
        "nonstationary",
        "Nonstationary: bursts, and other lengths from the middle on",
        List.of(
            "What happens to a policy when the load is no longer what it was tuned for, or what it"
                + " has learned? Arrivals come in bursts (a Markov-modulated Poisson process), and in"
                + " the middle of the run the lengths change. The rate is relative to the fluid limit"
                + " of the lengths of the time, 0.8 mu on average, so that the load stays and the"
                + " mix changes. The pool has 2,500 blocks.",
            "weir learns online and is told nothing but the longest output. 'frozen' keeps to mu and the"
                + " distributions of the first half, and so do the thresholds of"
                + " nested-wait. capped-fcfs is tuned by grid search once for each half; the cap of"
                + " the second half is hindsight. All figures are those of the requests that"
                + " arrived in a half; throughput counts their tokens that were there before the half"
                + " ended, goodput their requests with TTFT up to 2 s and TPOT up to 100 ms."),
        findings,
        settings,
        tables,
        plots,
        goals(cases, outcomes));
  }

  private static Table table(Case at, List<Outcome> outcomes) {
    Table.Builder table =
        Table.titled(Texts.id(at.name()), at.name()).column("policy").column("knows");
    for (String half : List.of("first half", "second half")) {
      table
          .column(half + ": throughput", "tokens/s")
          .column(half + ": goodput", "requests/s")
          .column(half + ": recomputed", "%")
          .column(half + ": TTFT p99", "s");
    }
    for (Outcome each : outcomes) {
      table.row(
          each.policy().label(),
          Contenders.knows(each.policy()),
          each.of(run -> run.first().throughput()),
          each.of(run -> run.first().goodput()),
          each.of(run -> 100 * run.first().recomputedShare()),
          each.of(run -> run.first().timeToFirstToken().p99()),
          each.of(run -> run.second().throughput()),
          each.of(run -> run.second().goodput()),
          each.of(run -> 100 * run.second().recomputedShare()),
          each.of(run -> run.second().timeToFirstToken().p99()));
    }
    return table.build();
  }

  private static List<Plot> plots(Case at, List<Outcome> outcomes) {
    List<Series> alive = new ArrayList<>();
    List<Series> evictions = new ArrayList<>();
    for (Outcome each : outcomes) {
      TimeSeries series = each.runs().getFirst().series();
      List<Point> here = new ArrayList<>();
      List<Point> evicted = new ArrayList<>();
      long sum = 0;
      for (int i = 0; i < series.slices(); i++) {
        sum += series.evictions(i);
        here.add(Point.of(series.time(i), series.alive(i)));
        evicted.add(Point.of(series.time(i), (double) sum));
      }
      alive.add(new Series(each.policy().label(), Style.LINE, here));
      evictions.add(new Series(each.policy().label(), Style.LINE, evicted));
    }
    List<Marker> shift =
        List.of(
            new Marker(
                Orientation.VERTICAL, at.loads().getFirst().shift(), "other lengths from here on"));
    return List.of(
        new Plot(
            "backlog-" + Texts.id(at.name()),
            "Requests in the system, " + at.name(),
            "First seed.",
            Axis.linear("seconds"),
            Axis.linear("waiting or running"),
            alive,
            shift),
        new Plot(
            "evictions-" + Texts.id(at.name()),
            "Evictions, summed up, " + at.name(),
            "First seed.",
            Axis.linear("seconds"),
            Axis.linear("evictions"),
            evictions,
            shift));
  }

  private static Optional<Outcome> named(List<Outcome> outcomes, Case at, String label) {
    return outcomes.stream()
        .filter(each -> each.at() == at && each.policy().label().equals(label))
        .findFirst();
  }

  private static String finding(Case at, List<Outcome> outcomes) {
    return at.name()
        + ", requests of the second half: "
        + FOUND.stream()
            .flatMap(label -> named(outcomes, at, label).stream())
            .map(
                each ->
                    each.policy().label()
                        + " "
                        + Texts.number(each.of(run -> run.second().throughput()).mean(), 0)
                        + " tokens/s, p99 TTFT "
                        + Texts.seconds(
                            each.of(run -> run.second().timeToFirstToken().p99()).mean())
                        + ", "
                        + Texts.number(
                            each.of(run -> 100 * run.second().recomputedShare()).mean(), 1)
                        + " % recomputed")
            .collect(Collectors.joining("; "))
        + ".";
  }

  private static List<Goal> goals(List<Case> cases, List<Outcome> outcomes) {
    List<Worst> throughput = new ArrayList<>();
    List<Worst> latency = new ArrayList<>();
    for (Case at : cases) {
      Optional<Outcome> weir = named(outcomes, at, Contenders.WEIR);
      Optional<Outcome> capped = named(outcomes, at, CAPPED_FIRST);
      if (weir.isPresent() && capped.isPresent()) {
        throughput.add(
            new Worst(weir.get().ratio(capped.get(), run -> run.second().throughput()), at.name()));
        latency.add(
            new Worst(
                weir.get().ratio(capped.get(), run -> run.second().timeToFirstToken().p99()),
                at.name()));
      }
    }
    if (throughput.isEmpty()) {
      return List.of();
    }
    Worst leastThroughput = Worst.least(throughput);
    Worst mostLatency = Worst.most(latency);
    return List.of(
        Goal.atLeast(
            "weir: throughput of that of capped-fcfs tuned for the first half, second half, worst"
                + " case",
            GOAL_THROUGHPUT,
            leastThroughput.figure(),
            "%",
            leastThroughput.where()),
        Goal.atMost(
            "weir: p99 TTFT of that of capped-fcfs tuned for the first half, second half, worst"
                + " case",
            GOAL_TTFT,
            mostLatency.figure(),
            "%",
            mostLatency.where()));
  }
}
