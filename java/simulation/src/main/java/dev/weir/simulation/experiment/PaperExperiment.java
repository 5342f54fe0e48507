package dev.weir.simulation.experiment;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Schedulers;
import dev.weir.simulation.Arrival;
import dev.weir.simulation.IterationTime;
import dev.weir.simulation.IterationTimes;
import dev.weir.simulation.MeasuredIterationTime;
import dev.weir.simulation.ProfileIterationTime;
import dev.weir.simulation.Simulation;
import dev.weir.simulation.SimulationOptions;
import dev.weir.simulation.SimulationResult;
import dev.weir.simulation.SimulationSemantics;
import dev.weir.simulation.StalledException;
import dev.weir.simulation.metrics.Metrics;
import dev.weir.simulation.metrics.SimulationMetrics;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;

/**
 * The simulations of arXiv 2504.11320, once as they were published and once as a fair comparison.
 * What was run is known from the logs of the authors' fork of Vidur
 * (github.com/Luoxiaogan/vidur_or, tests 31 to 33).
 */
final class PaperExperiment implements Experiment {
  private static final int PUBLISHED_BUDGET = 4096;
  private static final String FORK_TIME = "meta-llama-3-8b-a100.json";

  /** As Vidur reckons the pool of an A100-80GB: 29 and 114 requests of 4,096 tokens. */
  private static final KvCapacity LLAMA_2_MEMORY = new KvCapacity(7424, 16, 0);

  private static final KvCapacity LLAMA_3_MEMORY = new KvCapacity(29_184, 16, 0);

  /** Total limits of the published runs. */
  private static final List<Integer> TOTAL_LIMITS =
      List.of(115, 120, 125, 130, 135, 140, 145, 150, 155, 160, 165, 170);

  private static final List<Integer> CAPS = List.of(128, 192, 256, 384, 512, 640);

  /** What policies that are not tuned have. */
  private static final BatchLimits USUAL = new BatchLimits(640, 2048);

  /** Token budgets of an iteration; the first and the last are Sarathi's and vLLM's in Vidur. */
  private static final List<Integer> BUDGETS = List.of(512, USUAL.maxTokens(), 4096);

  private static final List<BatchLimits> GRID =
      CAPS.stream()
          .flatMap(cap -> BUDGETS.stream().map(budget -> new BatchLimits(cap, budget)))
          .toList();

  /** A load that every policy can serve; ours. */
  static final double MODERATE_RATE = 30;

  private static final List<Double> FAIR_RATES =
      List.of((double) PaperWorkload.RATE, MODERATE_RATE);

  /** Without arrivals for so long, strict modes let everybody run. */
  private static final String DRAIN_SECONDS = "5";

  private static final int UNLIMITED_TOKENS = 1 << 20;

  private static final Policy FCFS = Policy.of("fcfs");

  /** WAIT and Nested WAIT, those that the paper is about. */
  static final List<Contender> PAPER =
      List.of(
          paper("wait", "workConserving"),
          paper("wait", "strict"),
          paper("nested-wait", "workConserving"),
          paper("nested-wait", "strict"));

  /** What the paper compares with. */
  static final Contender VLLM = new Contender(Policy.of("vllm-v0"), true);

  static final Contender SARATHI = new Contender(Policy.of("sarathi"), true);

  static final Contender CAPPED =
      new Contender(FCFS.labelled("fcfs, best cap (capped-fcfs)"), true);

  static final Contender FCFS_UNTUNED = new Contender(FCFS, false);

  static final Contender WEIR = new Contender(Policy.of("weir"), false);

  static final Contender MCSF =
      new Contender(Policy.of("mcsf").knowing(Policy.Knowledge.LENGTHS), false);

  private static final List<Contender> CONTENDERS =
      Stream.concat(PAPER.stream(), Stream.of(VLLM, SARATHI, CAPPED, FCFS_UNTUNED, WEIR, MCSF))
          .toList();

  /** Caps whose throughput differs by less are told apart by latency. */
  private static final double SAME_THROUGHPUT = 0.005;

  record Device(String model, IterationTime time, KvCapacity memory) {}

  /** A published test: its name in the logs, its rate in requests a second. */
  record Test(String name, double rate) {}

  private record PublishedTask(Test test, int totalLimit, long seed) {}

  /** What the three policies did with the same requests and the same largest batch. */
  record PublishedOutcome(
      PublishedMeasures nested, PublishedMeasures vllm, PublishedMeasures sarathi) {}

  record Published(Test test, int totalLimit, List<PublishedOutcome> bySeed) {
    Estimate of(ToDoubleFunction<PublishedOutcome> figure) {
      return Estimate.of(bySeed, figure);
    }
  }

  /** A policy of the fair comparison. */
  record Contender(Policy policy, boolean tuned) {
    List<BatchLimits> grid() {
      return tuned ? GRID : List.of(USUAL);
    }
  }

  private record FairTask(
      Device device, double rate, Contender contender, BatchLimits limits, long seed) {}

  record Fair(
      Device device, double rate, Contender contender, BatchLimits limits, List<Metrics> bySeed) {
    Estimate of(ToDoubleFunction<Metrics> figure) {
      return Estimate.of(bySeed, figure);
    }

    double throughput() {
      return of(Metrics::windowOutputTokensPerSecond).mean();
    }

    double endToEnd() {
      return of(m -> m.endToEnd().mean()).mean();
    }
  }

  /** Told the distribution of the lengths; to the letter, but somebody has to end the run. */
  private static Contender paper(String scheduler, String mode) {
    Policy policy = Policy.of(scheduler).with("mode", mode).knowing(Policy.Knowledge.DISTRIBUTION);
    boolean strict = mode.equals("strict");
    return new Contender(
        (strict ? policy.with("drain", DRAIN_SECONDS) : policy)
            .labelled(scheduler + ", " + (strict ? "strict" : "work-conserving")),
        !strict);
  }

  private final String name;
  private final String title;
  private final String description;
  private final List<Test> tests;
  private final Function<ExperimentContext, PaperWorkload> workload;

  private PaperExperiment(
      String name,
      String title,
      String description,
      List<Test> tests,
      Function<ExperimentContext, PaperWorkload> workload) {
    this.name = name;
    this.title = title;
    this.description = description;
    this.tests = tests;
    this.workload = workload;
  }

  /** Ten classes of requests. */
  static PaperExperiment synthetic() {
    return new PaperExperiment(
        "paper-synthetic",
        "The paper's ten classes 60/50..60/500",
        "the paper's comparison on ten classes of requests, as published and fair",
        List.of(
            new Test("test31", PaperWorkload.RATE), new Test("test32", 10.0 * PaperWorkload.RATE)),
        context -> new PaperWorkload(PaperWorkload.tenClasses(), false));
  }

  /** LMSYS lengths. */
  static PaperExperiment lmsys() {
    return new PaperExperiment(
        "paper-lmsys",
        "The paper's LMSYS lengths",
        "the paper's comparison on LMSYS lengths, as published and fair",
        List.of(new Test("test33", PaperWorkload.RATE)),
        context -> new PaperWorkload(context.data().lmsys(), true));
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public String description() {
    return description;
  }

  @Override
  public ExperimentResult run(ExperimentContext context) {
    PaperWorkload load = workload.apply(context);
    Device ours = new Device("Llama-2-7B", ProfileIterationTime.a100Llama2(), LLAMA_2_MEMORY);
    Device fork = new Device("Llama-3-8B", forkTime(), LLAMA_3_MEMORY);
    List<Device> devices = List.of(ours, fork);
    List<PublishedTask> publishedTasks = publishedTasks(context);
    List<String> refusals = new ArrayList<>();
    List<FairTask> fairTasks = fairTasks(context, load, devices, refusals);
    context.plan(3L * publishedTasks.size() + fairTasks.size());

    List<Published> published = published(context, load, fork, publishedTasks);
    List<Fair> fair = fair(context, load, fairTasks);
    List<Fair> tuned = tuned(fair);
    PaperConclusions conclusions = new PaperConclusions(recorded(), published, tuned, devices);
    List<String> findings = new ArrayList<>(conclusions.sentences());
    findings.addAll(refusals);
    return new ExperimentResult(
        name,
        title,
        question(load),
        findings,
        settings(context, load),
        List.of(
            conclusions.table(),
            repeatedTable(published),
            completedTable(published),
            fairTable(tuned),
            capTable(fair)),
        plots(published, fair, devices),
        goals(fair, devices));
  }

  private List<RecordedRun> recorded() {
    List<String> names = tests.stream().map(Test::name).toList();
    return RecordedRun.all().stream().filter(run -> names.contains(run.test())).toList();
  }

  private List<String> question(PaperWorkload load) {
    return List.of(
        "As published: "
            + RecordedRun.REQUESTS
            + " requests, "
            + load.lengths().name()
            + ", Meta-Llama-3-8B on an A100 (by the scripts; the paper says Llama-2-7B). Nested WAIT"
            + " by the rule that the authors simulated, given the rates of the ten classes. Requests"
            + " that it never ends are dropped, their work counts. vLLM and Sarathi run with a cap"
            + " equal to the largest batch of Nested WAIT. Measure: slots a second, a slot being one"
            + " request in one iteration. The logs are of February 2025; runs of later versions of the"
            + " paper are not among them.",
        "Fair: the same requests, all of which end, under every policy; the cap on concurrent"
            + " requests is chosen for each policy among "
            + CAPS
            + " and "
            + BUDGETS
            + " by throughput, and within "
            + Texts.percent(SAME_THROUGHPUT)
            + " of the best by mean E2E. Measures: output tokens a second within the arrival window,"
            + " TTFT, E2E. At "
            + PaperWorkload.RATE
            + " requests/s, as published, which is more than most can serve; and at "
            + Math.round(MODERATE_RATE)
            + ", ours, which all can. wait is told every output length, nested-wait the distribution."
            + " weir, fcfs, the clairvoyant mcsf"
            + " and the strict modes have the largest cap and 2,048 tokens; nothing of theirs is"
            + " tuned.");
  }

  private List<Setting> settings(ExperimentContext context, PaperWorkload load) {
    List<Setting> settings = new ArrayList<>();
    settings.add(new Setting("seeds", context.seedList().toString()));
    settings.add(new Setting("requests", String.valueOf(requests(context))));
    settings.add(
        new Setting(
            "lengths", load.lengths().name() + ", " + load.lengths().size() + " rows drawn from"));
    settings.add(
        new Setting(
            "arrivals",
            load.clippedGaps() ? "Poisson, gaps cut at three times the mean" : "Poisson"));
    settings.add(
        new Setting(
            "Llama-2-7B", "Vidur's profile on an A100, " + LLAMA_2_MEMORY.blocks() + " blocks"));
    settings.add(
        new Setting(
            "Llama-3-8B",
            "Vidur's operator profile, attention fitted to the iterations in the logs, "
                + LLAMA_3_MEMORY.blocks()
                + " blocks"));
    settings.add(new Setting("block size", LLAMA_2_MEMORY.blockSize() + " tokens"));
    settings.add(
        new Setting("token budget of an iteration, as published", PUBLISHED_BUDGET + " tokens"));
    for (double rate : FAIR_RATES) {
      settings.add(
          new Setting(
              "SHA-256 at " + Math.round(rate) + " requests/s, seed 1",
              load.draw(requests(context), rate, 1).sha256()));
    }
    for (Contender contender : CONTENDERS) {
      settings.add(
          new Setting(
              contender.policy().label(),
              contender.policy().scheduler()
                  + " "
                  + new TreeMap<>(contender.policy().options())
                  + ", knows: "
                  + contender.policy().knowledge()));
    }
    return settings;
  }

  private static int requests(ExperimentContext context) {
    return context.scaled(RecordedRun.REQUESTS, 100);
  }

  /**
   * The time of an iteration of Meta-Llama-3-8B in the fork: Vidur's operator profile of the model
   * and an attention in proportion to the context, fitted to the recorded iterations of test31.
   */
  static MeasuredIterationTime forkTime() {
    try (InputStream stream = PaperExperiment.class.getResourceAsStream(FORK_TIME)) {
      if (stream == null) {
        throw new IllegalStateException(
            "resource " + FORK_TIME + " is missing from the class path");
      }
      return MeasuredIterationTime.parse(FORK_TIME, stream.readAllBytes());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  // ---- as published

  private List<PublishedTask> publishedTasks(ExperimentContext context) {
    List<PublishedTask> tasks = new ArrayList<>();
    for (Test test : tests) {
      for (int limit : TOTAL_LIMITS) {
        for (long seed : context.seedList()) {
          tasks.add(new PublishedTask(test, limit, seed));
        }
      }
    }
    return tasks;
  }

  private static List<Published> published(
      ExperimentContext context, PaperWorkload load, Device device, List<PublishedTask> tasks) {
    List<PublishedOutcome> outcomes =
        context.map(tasks, task -> publishedOutcome(context, load, device, task));
    List<Published> published = new ArrayList<>();
    for (int first = 0; first < tasks.size(); first += context.seeds()) {
      PublishedTask task = tasks.get(first);
      published.add(
          new Published(
              task.test(), task.totalLimit(), outcomes.subList(first, first + context.seeds())));
    }
    return published;
  }

  private static PublishedOutcome publishedOutcome(
      ExperimentContext context, PaperWorkload load, Device device, PublishedTask task) {
    List<Arrival> arrivals =
        load.draw(requests(context), task.test().rate(), task.seed()).arrivals();
    Scheduler rule =
        new PublishedNestedWait(
            PaperWorkload.boundaries(), PaperWorkload.segmentCaps(task.totalLimit()));
    SimulationOptions unlimited =
        vidur("nested", device, new BatchLimits(arrivals.size(), UNLIMITED_TOKENS));
    PublishedMeasures nested = new PublishedMeasures();
    try {
      measure(context, unlimited, rule, arrivals, nested);
    } catch (StalledException _) {
      // The published end of a run: nobody advances any more, and the rest is dropped.
    }
    BatchLimits observed = new BatchLimits(nested.largestBatch(), PUBLISHED_BUDGET);
    SimulationOptions vllm = vidur("vllm-v0", device, observed);
    SimulationOptions sarathi = vidur("sarathi", device, observed);
    return new PublishedOutcome(
        nested, measure(context, vllm, arrivals), measure(context, sarathi, arrivals));
  }

  private static SimulationOptions vidur(String scheduler, Device device, BatchLimits limits) {
    return new SimulationOptions(
        scheduler,
        new SchedulerConfig(
            device.memory(),
            limits,
            Preemption.RECOMPUTE,
            IterationTimes.linearise(device.time(), 2, 1),
            Optional.empty(),
            SchedulerOptions.of(Map.of("semantics", "vidur"))),
        device.time(),
        SimulationSemantics.VIDUR,
        OptionalInt.empty());
  }

  private static PublishedMeasures measure(
      ExperimentContext context, SimulationOptions options, List<Arrival> arrivals) {
    PublishedMeasures measures = new PublishedMeasures();
    Scheduler scheduler = Schedulers.create(options.scheduler(), options.config());
    measure(context, options, scheduler, arrivals, measures);
    return measures;
  }

  private static void measure(
      ExperimentContext context,
      SimulationOptions options,
      Scheduler scheduler,
      List<Arrival> arrivals,
      PublishedMeasures measures) {
    try {
      Simulation.run(options, scheduler, arrivals.iterator(), measures);
    } finally {
      context.skip(1);
    }
  }

  private Table repeatedTable(List<Published> published) {
    Table.Builder table =
        Table.titled("published", "As published: the logs, and the same repeated")
            .note(
                "slots/s of Nested WAIT, vLLM and Sarathi. dropped: requests that never end under"
                    + " Nested WAIT. tokens/s: output tokens of requests that ended, over the same"
                    + " time. KV peak: of Nested WAIT; the pool of Llama-2-7B has "
                    + LLAMA_2_MEMORY.blocks()
                    + " blocks.")
            .column("test")
            .column("limit")
            .column("batch")
            .column("logs: nested", "slots/s")
            .column("logs: vLLM", "slots/s")
            .column("logs: Sarathi", "slots/s")
            .column("logs: dropped", "%")
            .column("nested", "slots/s")
            .column("vLLM", "slots/s")
            .column("Sarathi", "slots/s")
            .column("dropped", "%")
            .column("nested", "tokens/s")
            .column("vLLM", "tokens/s")
            .column("Sarathi", "tokens/s")
            .column("KV peak", "blocks");
    for (Published p : published) {
      table.row(
          p.test().name(),
          p.totalLimit(),
          p.bySeed().getFirst().nested().largestBatch(),
          logged(p, RecordedRun.NESTED, RecordedRun::slotsPerSecond),
          logged(p, RecordedRun.VLLM, RecordedRun::slotsPerSecond),
          logged(p, RecordedRun.SARATHI, RecordedRun::slotsPerSecond),
          logged(
              p,
              RecordedRun.NESTED,
              run -> 100 * (1 - run.completed() / (double) RecordedRun.REQUESTS)),
          p.of(o -> o.nested().slotsPerSecond()),
          p.of(o -> o.vllm().slotsPerSecond()),
          p.of(o -> o.sarathi().slotsPerSecond()),
          p.of(o -> 100 * o.nested().droppedShare()),
          p.of(o -> o.nested().completedTokensPerSecond()),
          p.of(o -> o.vllm().completedTokensPerSecond()),
          p.of(o -> o.sarathi().completedTokensPerSecond()),
          p.of(o -> o.nested().peakBlocks()));
    }
    return table.build();
  }

  /** NaN if the logs have no such run. */
  private double logged(Published published, String policy, ToDoubleFunction<RecordedRun> figure) {
    return RecordedRun.ofLimit(recorded(), published.test().name(), policy, published.totalLimit())
        .map(figure::applyAsDouble)
        .orElse(Double.NaN);
  }

  private static Table completedTable(List<Published> published) {
    Table.Builder table =
        Table.titled("completed", "As published: who ends under Nested WAIT")
            .note(
                "Share of the requests of an output length that end, mean over all limits and"
                    + " seeds. vLLM and Sarathi end all.")
            .column("output", "tokens")
            .column("ended", "%");
    Map<Integer, List<Double>> shares = new TreeMap<>();
    for (Published p : published) {
      for (PublishedOutcome outcome : p.bySeed()) {
        outcome
            .nested()
            .completedShares()
            .forEach(
                (group, share) -> shares.computeIfAbsent(group, _ -> new ArrayList<>()).add(share));
      }
    }
    shares.forEach(
        (group, values) ->
            table.row(
                (group - PublishedMeasures.GROUP + 1) + ".." + group,
                100 * values.stream().mapToDouble(Double::doubleValue).average().orElseThrow()));
    return table.build();
  }

  // ---- fair

  /**
   * @param refusals gets a sentence for each policy that no cap makes run on a device
   */
  private static List<FairTask> fairTasks(
      ExperimentContext context, PaperWorkload load, List<Device> devices, List<String> refusals) {
    List<FairTask> tasks = new ArrayList<>();
    for (Device device : devices) {
      for (Contender contender : CONTENDERS) {
        String refusal = null;
        boolean runs = false;
        for (BatchLimits limits : contender.grid()) {
          String reason = refusal(load, device, contender, limits);
          if (reason != null) {
            refusal = reason;
            continue;
          }
          runs = true;
          for (double rate : FAIR_RATES) {
            for (long seed : context.seedList()) {
              tasks.add(new FairTask(device, rate, contender, limits, seed));
            }
          }
        }
        if (!runs) {
          refusals.add(
              contender.policy().label()
                  + " cannot run on "
                  + device.model()
                  + " with "
                  + contender.grid().getLast().maxSequences()
                  + " sequences: "
                  + refusal
                  + ".");
        }
      }
    }
    return tasks;
  }

  /** Why a policy cannot work with a cap at some rate, or null if it can at all of them. */
  private static String refusal(
      PaperWorkload load, Device device, Contender contender, BatchLimits limits) {
    for (double rate : FAIR_RATES) {
      SimulationOptions options = fairOptions(load, device, contender, limits, rate);
      try {
        Schedulers.create(options.scheduler(), options.config());
      } catch (IllegalArgumentException e) {
        return e.getMessage();
      }
    }
    return null;
  }

  private static SimulationOptions fairOptions(
      PaperWorkload load, Device device, Contender contender, BatchLimits limits, double rate) {
    // Sarathi has its budget as an option of its own.
    Policy policy =
        contender == SARATHI
            ? contender.policy().with("chunk", String.valueOf(limits.maxTokens()))
            : contender.policy();
    return new ServingSetup(load.lengths(), device.memory(), limits, device.time())
        .simulation(policy, rate);
  }

  private static List<Fair> fair(
      ExperimentContext context, PaperWorkload load, List<FairTask> tasks) {
    List<Metrics> metrics = context.map(tasks, task -> fairRun(context, load, task));
    List<Fair> fair = new ArrayList<>();
    for (int first = 0; first < tasks.size(); first += context.seeds()) {
      FairTask task = tasks.get(first);
      fair.add(
          new Fair(
              task.device(),
              task.rate(),
              task.contender(),
              task.limits(),
              metrics.subList(first, first + context.seeds())));
    }
    return fair;
  }

  private static Metrics fairRun(ExperimentContext context, PaperWorkload load, FairTask task) {
    SimulationMetrics metrics = new SimulationMetrics();
    SimulationResult result =
        context.simulate(
            fairOptions(load, task.device(), task.contender(), task.limits(), task.rate()),
            load.draw(requests(context), task.rate(), task.seed()).arrivals().iterator(),
            metrics);
    return metrics.metrics(result, task.device().memory().blocks());
  }

  /** The best cap of each policy at each rate on each device. */
  private static List<Fair> tuned(List<Fair> fair) {
    Map<String, List<Fair>> byPolicy = new LinkedHashMap<>();
    for (Fair f : fair) {
      String key = f.device().model() + f.rate() + f.contender().policy().label();
      byPolicy.computeIfAbsent(key, _ -> new ArrayList<>()).add(f);
    }
    return byPolicy.values().stream().map(PaperExperiment::best).toList();
  }

  private static Fair best(List<Fair> caps) {
    double most = caps.stream().mapToDouble(Fair::throughput).max().orElseThrow();
    return caps.stream()
        .filter(f -> f.throughput() >= (1 - SAME_THROUGHPUT) * most)
        .min(Comparator.comparingDouble(Fair::endToEnd))
        .orElseThrow();
  }

  /** Against fcfs with the cap that is best with the token budget that weir has. */
  private static List<Goal> goals(List<Fair> fair, List<Device> devices) {
    Goal throughput = null;
    Goal firstToken = null;
    for (Device device : devices) {
      for (double rate : FAIR_RATES) {
        List<Fair> here =
            fair.stream().filter(f -> f.device() == device && f.rate() == rate).toList();
        Fair weir = here.stream().filter(f -> f.contender() == WEIR).findFirst().orElseThrow();
        Fair capped =
            best(
                here.stream()
                    .filter(f -> f.contender() == CAPPED)
                    .filter(f -> f.limits().maxTokens() == USUAL.maxTokens())
                    .toList());
        String note =
            "worst case: %s, %d requests/s, cap %d"
                .formatted(device.model(), Math.round(rate), capped.limits().maxSequences());
        Goal tokens =
            Goal.atLeast(
                "weir, nothing tuned: throughput against capped-fcfs",
                99,
                percentages(weir, capped, Metrics::windowOutputTokensPerSecond),
                "%",
                note);
        Goal wait =
            Goal.atMost(
                "weir, nothing tuned: p99 TTFT against capped-fcfs",
                105,
                percentages(weir, capped, m -> m.timeToFirstToken().p99()),
                "%",
                note);
        boolean slower =
            throughput == null || tokens.measured().mean() < throughput.measured().mean();
        boolean later = firstToken == null || wait.measured().mean() > firstToken.measured().mean();
        throughput = slower ? tokens : throughput;
        firstToken = later ? wait : firstToken;
      }
    }
    return List.of(throughput, firstToken);
  }

  /** Of a figure, seed by seed. */
  private static Estimate percentages(Fair of, Fair base, ToDoubleFunction<Metrics> figure) {
    double[] ratios = new double[of.bySeed().size()];
    for (int i = 0; i < ratios.length; i++) {
      ratios[i] =
          100
              * figure.applyAsDouble(of.bySeed().get(i))
              / figure.applyAsDouble(base.bySeed().get(i));
    }
    return Estimate.of(ratios);
  }

  private static Table fairTable(List<Fair> tuned) {
    Table.Builder table =
        Table.titled("fair", "Fair: every request ends, every cap is tuned")
            .note(
                "throughput: within the arrival window; all: all output tokens over the time until"
                    + " the last one. recomputed: of prompt and output tokens.")
            .column("model")
            .column("rate", "requests/s")
            .column("policy")
            .column("cap")
            .column("budget", "tokens")
            .column("throughput", "tokens/s")
            .column("all", "tokens/s")
            .column("TTFT mean", "s")
            .column("TTFT p99", "s")
            .column("E2E mean", "s")
            .column("E2E p99", "s")
            .column("evictions")
            .column("recomputed", "%")
            .column("KV peak", "%");
    for (Fair f : tuned) {
      table.row(
          f.device().model(),
          f.rate(),
          f.contender().policy().label(),
          f.limits().maxSequences(),
          f.limits().maxTokens(),
          f.of(Metrics::windowOutputTokensPerSecond),
          f.of(Metrics::outputTokensPerSecond),
          f.of(m -> m.timeToFirstToken().mean()),
          f.of(m -> m.timeToFirstToken().p99()),
          f.of(m -> m.endToEnd().mean()),
          f.of(m -> m.endToEnd().p99()),
          f.of(Metrics::evictions),
          f.of(m -> 100 * m.recomputedShare()),
          f.of(m -> 100 * m.kvPeak()));
    }
    return table.build();
  }

  private static Table capTable(List<Fair> fair) {
    Table.Builder table =
        Table.titled("caps", "Fair: the grid search")
            .detail()
            .column("model")
            .column("rate", "requests/s")
            .column("policy")
            .column("cap")
            .column("budget", "tokens")
            .column("throughput", "tokens/s")
            .column("E2E mean", "s");
    for (Fair f : fair) {
      table.row(
          f.device().model(),
          f.rate(),
          f.contender().policy().label(),
          f.limits().maxSequences(),
          f.limits().maxTokens(),
          f.of(Metrics::windowOutputTokensPerSecond),
          f.of(m -> m.endToEnd().mean()));
    }
    return table.build();
  }

  // ---- plots

  private List<Plot> plots(List<Published> published, List<Fair> fair, List<Device> devices) {
    List<Plot> plots = new ArrayList<>();
    for (Test test : tests) {
      plots.add(publishedPlot(test, published.stream().filter(p -> p.test() == test).toList()));
    }
    for (Device device : devices) {
      plots.add(capPlot(device, fair));
    }
    return plots;
  }

  private Plot publishedPlot(Test test, List<Published> published) {
    List<Plot.Series> series = new ArrayList<>();
    series.add(logSeries(test, "Nested WAIT, logs", RecordedRun.NESTED));
    series.add(logSeries(test, "vLLM, logs", RecordedRun.VLLM));
    series.add(logSeries(test, "Sarathi, logs", RecordedRun.SARATHI));
    series.add(repeated("Nested WAIT", published, o -> o.nested().slotsPerSecond()));
    series.add(repeated("vLLM", published, o -> o.vllm().slotsPerSecond()));
    series.add(repeated("Sarathi", published, o -> o.sarathi().slotsPerSecond()));
    series.add(
        repeated(
            "Nested WAIT, tokens of requests that ended",
            published,
            o -> o.nested().completedTokensPerSecond()));
    return new Plot(
        "published-" + test.name(),
        "As published, " + Math.round(test.rate()) + " requests/s",
        "Points are the logs of the authors' fork, lines the same repeated with our simulator.",
        Plot.Axis.linear("cap on the batch, requests"),
        Plot.Axis.linear("slots/s"),
        series,
        List.of());
  }

  private Plot.Series logSeries(Test test, String label, String policy) {
    return new Plot.Series(
        label,
        Plot.Style.SCATTER,
        recorded().stream()
            .filter(run -> run.test().equals(test.name()) && run.policy().equals(policy))
            .map(run -> Plot.Point.of(run.batchSize(), run.slotsPerSecond()))
            .toList());
  }

  private static Plot.Series repeated(
      String label, List<Published> published, ToDoubleFunction<PublishedOutcome> figure) {
    return new Plot.Series(
        label,
        Plot.Style.LINE,
        published.stream()
            .map(p -> Plot.Point.of(p.bySeed().getFirst().nested().largestBatch(), p.of(figure)))
            .toList());
  }

  private static Plot capPlot(Device device, List<Fair> fair) {
    List<Plot.Series> series = new ArrayList<>();
    for (Contender contender : CONTENDERS) {
      List<Plot.Point> points = new ArrayList<>();
      for (int cap : CAPS) {
        fair.stream()
            .filter(f -> f.device() == device && f.contender() == contender)
            .filter(f -> f.rate() == PaperWorkload.RATE && f.limits().maxSequences() == cap)
            .max(Comparator.comparingDouble(Fair::throughput))
            .map(f -> Plot.Point.of(cap, f.of(Metrics::windowOutputTokensPerSecond)))
            .ifPresent(points::add);
      }
      if (!points.isEmpty()) {
        series.add(
            new Plot.Series(
                contender.policy().label(),
                contender.tuned() ? Plot.Style.LINE : Plot.Style.SCATTER,
                points));
      }
    }
    return new Plot(
        "caps-" + device.model().toLowerCase(Locale.ROOT),
        "Fair, " + device.model() + ", " + PaperWorkload.RATE + " requests/s",
        "Output tokens a second within the arrival window, with the better of the token budgets.",
        Plot.Axis.logarithmic("cap on concurrent requests"),
        Plot.Axis.linear("output tokens/s"),
        series,
        List.of());
  }
}
