package dev.weir.simulation.experiment;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.KvCapacity;
import dev.weir.simulation.ProfileIterationTime;
import dev.weir.simulation.experiment.Plot.Axis;
import dev.weir.simulation.experiment.Plot.Marker;
import dev.weir.simulation.experiment.Plot.Orientation;
import dev.weir.simulation.experiment.Plot.Point;
import dev.weir.simulation.experiment.Plot.Series;
import dev.weir.simulation.experiment.Plot.Style;
import dev.weir.simulation.metrics.Metrics;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * {@code limit-cycle}: requests that are all the same, at a rate above the limit. First come first
 * served falls into a cycle of evictions (arXiv 2606.15555).
 */
final class LimitCycleExperiment implements Experiment {
  private static final int PROMPT_TOKENS = 100;
  private static final int OUTPUT_TOKENS = 400;
  private static final KvCapacity MEMORY = new KvCapacity(1250, 16, 0);
  private static final BatchLimits LIMITS = new BatchLimits(256, 2048);
  private static final double LOAD = 1.3;
  private static final int REQUESTS = 5_000;
  private static final int LEAST_REQUESTS = 200;
  private static final int CAPS = 20;

  /** Lifetimes of a request that a plot shows, and that the correlation is taken over. */
  private static final int LIFETIMES = 12;

  private static final int SLICES = 900;

  /** A swing of the number of running requests, over its mean, that is none. */
  private static final double STEADY = 0.01;

  private static final double GOAL_THROUGHPUT = 99;
  private static final double GOAL_RECOMPUTED = 0.5;

  private record Device(String name, ServingSetup setup) {}

  private record Task(Device device, Policy policy, int seed) {}

  private record Run(Task task, Metrics metrics, TimeSeries series) {
    double throughput() {
      return metrics.windowOutputTokensPerSecond();
    }

    /** Of the number of running requests. */
    private Autocorrelation cycle() {
      return Autocorrelation.of(
          IntStream.range(0, series.slices()).mapToDouble(series::requests).toArray());
    }

    /** Whether the number of running requests repeats itself. */
    boolean repeats() {
      return swing() >= STEADY && cycle().lag() > 0;
    }

    /** Seconds after which it does. */
    double periodSeconds() {
      return cycle().lag() * series.sliceSeconds();
    }

    /** Standard deviation of the number of running requests over its mean. */
    double swing() {
      double sum = 0;
      double squares = 0;
      for (int i = 0; i < series.slices(); i++) {
        sum += series.requests(i);
        squares += series.requests(i) * series.requests(i);
      }
      double mean = sum / series.slices();
      return Math.sqrt(Math.max(0, squares / series.slices() - mean * mean)) / mean;
    }
  }

  private record Outcome(Device device, Policy policy, List<Run> runs) {
    Estimate throughput() {
      return Estimate.of(runs, Run::throughput);
    }

    /** Those that have a period; the others would make its mean meaningless. */
    List<Run> repeating() {
      return runs.stream().filter(Run::repeats).toList();
    }

    Estimate recomputed() {
      return Estimate.of(runs, run -> 100 * run.metrics().recomputedShare());
    }
  }

  @Override
  public String name() {
    return "limit-cycle";
  }

  @Override
  public String description() {
    return "requests that are all the same, above the limit: who falls into a cycle of evictions,"
        + " and what it costs";
  }

  @Override
  public ExperimentResult run(ExperimentContext context) {
    RequestLengths lengths = RequestLengths.fixed("100/400", PROMPT_TOKENS, OUTPUT_TOKENS);
    List<Device> devices =
        List.of(
            new Device(
                "profile",
                new ServingSetup(lengths, MEMORY, LIMITS, ProfileIterationTime.a100Llama2())),
            new Device("linear cost", new ServingSetup(lengths, MEMORY, LIMITS, LinearCost.LINE)));
    int requests = context.scaled(REQUESTS, LEAST_REQUESTS);
    List<Load> loads =
        context.seedList().stream().map(seed -> Load.of(lengths, requests, seed)).toList();
    context.plan((long) devices.size() * CAPS);
    List<Task> tasks = new ArrayList<>();
    List<String> caps = new ArrayList<>();
    List<String> leftOut = new ArrayList<>();
    for (Device device : devices) {
      int cap = loads.getFirst().bestCap(context, device.setup(), rate(device), CAPS);
      caps.add(device.name() + ": " + cap);
      Contenders contenders = Contenders.of(device.setup(), cap);
      contenders.leftOut().forEach((policy, why) -> leftOut.add(policy + ": " + why));
      for (Policy policy : contenders.policies()) {
        for (int seed = 0; seed < context.seeds(); seed++) {
          tasks.add(new Task(device, policy, seed));
        }
      }
    }
    context.plan(tasks.size());
    List<Run> runs = context.map(tasks, task -> serve(context, task, loads.get(task.seed())));
    List<Outcome> outcomes = new ArrayList<>();
    for (int i = 0; i < runs.size(); i += context.seeds()) {
      Task first = runs.get(i).task();
      outcomes.add(
          new Outcome(first.device(), first.policy(), runs.subList(i, i + context.seeds())));
    }
    return result(context, devices, outcomes, loads, caps, leftOut);
  }

  private static double rate(Device device) {
    return LOAD * device.setup().region().sustainableRate();
  }

  /** Iterations of a full pool, as many as a request has tokens. */
  private static double lifetimeSeconds(Device device) {
    return OUTPUT_TOKENS * device.setup().region().cost().seconds(MEMORY.tokens());
  }

  private static Run serve(ExperimentContext context, Task task, Load load) {
    double rate = rate(task.device());
    double end = load.unit().arrivals().getLast().seconds() / rate;
    double from = Math.max(0, end - LIFETIMES * lifetimeSeconds(task.device()));
    TimeSeries series = new TimeSeries(from, end, SLICES);
    Metrics metrics =
        load.serve(context, task.device().setup(), task.policy(), rate, Optional.empty(), series);
    return new Run(task, metrics, series);
  }

  private static ExperimentResult result(
      ExperimentContext context,
      List<Device> devices,
      List<Outcome> outcomes,
      List<Load> loads,
      List<String> caps,
      List<String> leftOut) {
    List<Table> tables = new ArrayList<>();
    List<Plot> plots = new ArrayList<>();
    List<String> findings = new ArrayList<>();
    for (Device device : devices) {
      List<Outcome> here =
          outcomes.stream().filter(outcome -> outcome.device().equals(device)).toList();
      tables.add(table(device, here));
      plots.addAll(plots(device, here));
      findings.add(finding(device, here));
    }
    List<Setting> settings = new ArrayList<>();
    settings.add(new Setting("seeds", "1 to " + context.seeds()));
    settings.add(new Setting("scale", Double.toString(context.scale())));
    settings.add(new Setting("requests", Texts.count(loads.getFirst().unit().arrivals().size())));
    settings.add(new Setting("pool", MEMORY.blocks() + " blocks of " + MEMORY.blockSize()));
    settings.add(new Setting("iteration", "at most 256 sequences and 2,048 tokens"));
    settings.add(new Setting("linear cost", LinearCost.TEXT));
    settings.add(new Setting("cap of capped-fcfs", String.join(", ", caps)));
    for (int seed = 0; seed < context.seeds(); seed++) {
      settings.add(
          new Setting(
              "workload SHA-256, seed "
                  + context.seedList().get(seed)
                  + ", at one request a second",
              loads.get(seed).unit().sha256()));
    }
    leftOut.stream().distinct().forEach(why -> settings.add(new Setting("left out", why)));
    return new ExperimentResult(
        "limit-cycle",
        "Limit cycle: first come first served above the limit",
        List.of(
            "Every request has a prompt of 100 and an output of 400 tokens; they arrive at "
                + LOAD
                + " times the fluid limit mu, so that there is always someone to admit. Requests"
                + " that are admitted together grow together: a policy that fills the memory today"
                + " has promised more than it has tomorrow. Above a critical load this is a cycle of"
                + " admission, growth, eviction and recomputation (arXiv 2606.15555).",
            "Throughput is that inside the arrival window after its first 20 %. The cycle is looked"
                + " for in the number of running requests over the last "
                + LIFETIMES
                + " lifetimes of the window: the shortest lag at which the series is about as much"
                + " like itself as at any, after it has once been unlike itself, and the correlation"
                + " there. A series that varies by less than 1 % has no period."),
        findings,
        settings,
        tables,
        plots,
        goals(devices, outcomes));
  }

  private static List<Goal> goals(List<Device> devices, List<Outcome> outcomes) {
    if (outcomes.stream().noneMatch(each -> each.policy().label().equals(Contenders.WEIR))) {
      return List.of();
    }
    List<Goal> goals = new ArrayList<>();
    for (Device device : devices) {
      Outcome weir = named(device, outcomes, Contenders.WEIR).orElseThrow();
      goals.add(
          Goal.atMost(
              "weir: recomputed tokens over useful ones, requests all the same, " + device.name(),
              GOAL_RECOMPUTED,
              weir.recomputed(),
              "%",
              named(device, outcomes, Contenders.FCFS)
                  .map(fcfs -> "fcfs " + Texts.number(fcfs.recomputed().mean(), 1) + " %")
                  .orElse("")));
      Stream.of(Contenders.MCSF, Contenders.PACED_MCSF)
          .flatMap(label -> named(device, outcomes, label).stream())
          .max(Comparator.comparingDouble(each -> each.throughput().mean()))
          .ifPresent(
              best -> goals.add(throughputGoal("the better of mcsf and paced mcsf", weir, best)));
      named(device, outcomes, Contenders.CAPPED_FCFS)
          .ifPresent(capped -> goals.add(throughputGoal("tuned capped-fcfs", weir, capped)));
    }
    return goals;
  }

  private static Goal throughputGoal(String of, Outcome weir, Outcome other) {
    double[] ratios =
        IntStream.range(0, weir.runs().size())
            .mapToDouble(
                i -> 100 * weir.runs().get(i).throughput() / other.runs().get(i).throughput())
            .toArray();
    return Goal.atLeast(
        "weir: throughput of that of " + of + ", requests all the same, " + weir.device().name(),
        GOAL_THROUGHPUT,
        Estimate.of(ratios),
        "%",
        "of " + other.policy().label());
  }

  private static Optional<Outcome> named(Device device, List<Outcome> outcomes, String label) {
    return outcomes.stream()
        .filter(each -> each.device().equals(device) && each.policy().label().equals(label))
        .findFirst();
  }

  private static Table table(Device device, List<Outcome> outcomes) {
    double fluid = device.setup().region().sustainableRate() * OUTPUT_TOKENS;
    Table.Builder table =
        Table.titled(Texts.id(device.name()), "Saturated, " + device.name())
            .note(
                "The fluid throughput at mu is "
                    + Texts.number(fluid, 0)
                    + " tokens/s; a lifetime in a full pool is "
                    + Texts.number(lifetimeSeconds(device), 1)
                    + " s.")
            .column("policy")
            .column("knows")
            .column("throughput", "tokens/s")
            .column("of the fluid one", "%")
            .column("evictions a request")
            .column("recomputed", "%")
            .column("KV use", "%")
            .column("swing of running requests", "%")
            .column("seeds with a period")
            .column("period", "s")
            .column("correlation there");
    for (Outcome each : outcomes) {
      table.row(
          each.policy().label(),
          Contenders.knows(each.policy()),
          each.throughput(),
          Estimate.of(each.runs(), run -> 100 * run.throughput() / fluid),
          Estimate.of(
              each.runs(), run -> (double) run.metrics().evictions() / run.metrics().finished()),
          each.recomputed(),
          Estimate.of(each.runs(), run -> 100 * run.metrics().kvMean()),
          Estimate.of(each.runs(), run -> 100 * run.swing()),
          each.repeating().size(),
          Estimate.of(each.repeating(), Run::periodSeconds),
          Estimate.of(each.repeating(), run -> run.cycle().strength()));
    }
    return table.build();
  }

  private static List<Plot> plots(Device device, List<Outcome> outcomes) {
    List<Plot> plots = new ArrayList<>();
    List<Series> evictions = new ArrayList<>();
    for (Outcome each : outcomes) {
      TimeSeries series = each.runs().getFirst().series();
      List<Point> used = new ArrayList<>();
      List<Point> evicted = new ArrayList<>();
      long sum = 0;
      for (int i = 0; i < series.slices(); i++) {
        sum += series.evictions(i);
        used.add(Point.of(series.time(i), 100 * series.usedBlocks(i) / MEMORY.blocks()));
        evicted.add(Point.of(series.time(i), (double) sum));
      }
      evictions.add(new Series(each.policy().label(), Style.LINE, evicted));
      plots.add(
          new Plot(
              "kv-" + Texts.id(device.name()) + "-" + Texts.id(each.policy().label()),
              "KV use under " + each.policy().label() + ", " + device.name(),
              "The last " + LIFETIMES + " lifetimes of the arrival window, first seed.",
              Axis.linear("seconds"),
              Axis.linear("% of the pool, and running requests"),
              List.of(
                  new Series("KV use, %", Style.LINE, used),
                  new Series(
                      "running requests",
                      Style.LINE,
                      IntStream.range(0, series.slices())
                          .mapToObj(i -> Point.of(series.time(i), series.requests(i)))
                          .toList())),
              List.of(new Marker(Orientation.HORIZONTAL, 100, "pool"))));
    }
    plots.addFirst(
        new Plot(
            "evictions-" + Texts.id(device.name()),
            "Evictions, summed up, " + device.name(),
            "The last " + LIFETIMES + " lifetimes of the arrival window, first seed.",
            Axis.linear("seconds"),
            Axis.linear("evictions"),
            evictions,
            List.of()));
    return plots;
  }

  private static String finding(Device device, List<Outcome> outcomes) {
    Map<Boolean, List<Outcome>> byEviction =
        outcomes.stream().collect(Collectors.partitioningBy(each -> each.recomputed().mean() > 0));
    String evicting =
        byEviction.get(true).stream()
            .sorted(Comparator.comparingDouble(each -> -each.recomputed().mean()))
            .map(
                each ->
                    each.policy().label() + " " + Texts.number(each.recomputed().mean(), 1) + " %")
            .collect(Collectors.joining(", "));
    String others =
        byEviction.get(false).stream()
            .map(each -> each.policy().label())
            .collect(Collectors.joining(", "));
    String ranking =
        outcomes.stream()
            .sorted(Comparator.comparingDouble(each -> -each.throughput().mean()))
            .map(each -> each.policy().label() + " " + Texts.number(each.throughput().mean(), 0))
            .collect(Collectors.joining(", "));
    return "With "
        + device.name()
        + ", recomputed tokens over useful ones: "
        + (evicting.isEmpty() ? "none by anyone" : evicting)
        + (others.isEmpty() ? "" : "; none by " + others)
        + ". Output tokens/s, the most first: "
        + ranking
        + ".";
  }
}
