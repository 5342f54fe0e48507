package dev.weir.testkit;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.Workload;
import dev.weir.scheduling.fluid.FluidModel;
import dev.weir.testkit.VirtualDriver.Job;
import dev.weir.testkit.VirtualDriver.Sighting;
import dev.weir.testkit.VirtualDriver.Standing;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.ToIntFunction;
import java.util.stream.IntStream;

/**
 * The runs that each property is judged by. Whatever else is seen in them is kept, too: {@link
 * Conformance} says whose fault it is.
 */
final class Suites {
  private static final IterationCost COST = new IterationCost(0.01, 1e-5);

  private static final List<Declared> TOLD = List.of(Declared.NOTHING, Declared.TRUTH);
  private static final double OVERLOAD = 2.5;

  /** Growth of the heap in half of the long run that is put down to others, bytes. */
  private static final long HEAP_NOISE = 4 << 20;

  private final Settings settings;

  Suites(Settings settings) {
    this.settings = settings;
  }

  Evidence gather(ConformanceProperty property) {
    Evidence evidence = new Evidence(settings);
    switch (property) {
      case NO_OVERFLOW_AT_ADMISSION, CONSERVATION, DECISION_LOG -> pressure(evidence);
      case LIVENESS -> loadBelowTheSustainableRate(evidence);
      case NO_STARVATION -> overload(evidence);
      case DRAIN -> lastOnes(evidence);
      case CANCELLATION -> cancellations(evidence);
      case DETERMINISM -> repetitions(evidence);
      case RANDOM_WORKLOADS -> randomWorkloads(evidence, settings.seed(), false);
      case LONG_RUN -> longRun(evidence);
      case REFUSAL -> tooLarge(evidence);
      case WAKE_UP -> fewAndFarBetween(evidence);
    }
    return evidence;
  }

  // ---- many requests, little memory

  private void pressure(Evidence evidence) {
    for (Preemption preemption : Preemption.values()) {
      for (int budget : new int[] {32, 512}) {
        for (boolean atOnce : new boolean[] {true, false}) {
          Random random = new Random(settings.seed());
          List<Job> jobs = new ArrayList<>();
          for (int i = 0; i < 80; i++) {
            double time = atOnce ? 0 : 0.02 * i;
            jobs.add(job(random, time, 120, 80));
          }
          for (Declared declared : Declared.values()) {
            SchedulerConfig config =
                config(
                    new KvCapacity(60, 16, 40),
                    new BatchLimits(24, budget),
                    preemption,
                    COST,
                    declared.workload(10, jobs));
            evidence.run(
                new Scenario(config, jobs),
                "80 requests of up to 200 tokens, "
                    + (atOnce ? "at once, " : "one every 20 ms, ")
                    + declared
                    + ", "
                    + describe(config));
          }
        }
      }
    }
  }

  // ---- the fluid model

  private void loadBelowTheSustainableRate(Evidence evidence) {
    // One length, known beforehand, and prompts that outweigh it: here it costs next to nothing to
    // reserve memory, to keep prefill and decode apart, or to wait until a batch has ended.
    IterationCost shortPause = new IterationCost(0.001, 0.009 / 6400);
    sustain(
        evidence, 0.9, shortPause, new KvCapacity(400, 16, 0), r -> 50 + r.nextInt(101), r -> 10);
    IterationCost cost = new IterationCost(0.01, 0.01 / 6400);
    sustain(
        evidence,
        settings.load(),
        cost,
        new KvCapacity(400, 16, 0),
        r -> 10 + r.nextInt(41),
        r -> 20 * (1 + r.nextInt(6)));
  }

  private void sustain(
      Evidence evidence,
      double load,
      IterationCost cost,
      KvCapacity memory,
      ToIntFunction<Random> prompt,
      ToIntFunction<Random> output) {
    int count = 4000;
    Random random = new Random(settings.seed());
    int[] prompts = draw(count, random, prompt);
    int[] outputs = draw(count, random, output);
    LengthHistogram promptTokens = LengthHistogram.of(prompts);
    LengthHistogram outputTokens = LengthHistogram.of(outputs);
    double sustainable =
        FluidModel.of(new Workload(1, promptTokens, outputTokens), cost, memory).sustainableRate();
    double rate = load * sustainable;
    List<Job> jobs = new ArrayList<>();
    double time = 0;
    for (int i = 0; i < count; i++) {
      time -= Math.log(1 - random.nextDouble()) / rate;
      jobs.add(Job.of(time, prompts[i], outputTokens.max(), outputs[i]));
    }
    SchedulerConfig config =
        config(
            memory,
            new BatchLimits(256, 8192),
            Preemption.RECOMPUTE,
            cost,
            Optional.of(new Workload(rate, promptTokens, outputTokens)));
    String name =
        String.format(
            Locale.ROOT,
            "%d Poisson arrivals at %.2f of %.1f/s, prompts of %.0f, outputs of %.0f tokens on"
                + " average, %s",
            count,
            load,
            sustainable,
            promptTokens.mean(),
            outputTokens.mean(),
            describe(config));
    Optional<VirtualDriver> run = evidence.run(new Scenario(config, jobs), name);
    if (run.isPresent() && run.get().peakBacklog() > count / 20) {
      evidence.add(
          ConformanceProperty.LIVENESS,
          run.get().peakBacklog() + " of " + count + " requests waited at the same time",
          name);
    }
  }

  private static int[] draw(int count, Random random, ToIntFunction<Random> distribution) {
    return IntStream.generate(() -> distribution.applyAsInt(random)).limit(count).toArray();
  }

  // ---- more than can be served

  private void overload(Evidence evidence) {
    KvCapacity memory = new KvCapacity(64, 16, 32);
    BatchLimits limits = new BatchLimits(64, 256);
    int count = 3000;
    Random random = new Random(settings.seed());
    List<int[]> lengths = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      // One in forty takes nearly half of the pool; the others alone are more than can be served.
      lengths.add(
          random.nextInt(40) == 0
              ? new int[] {400, 8}
              : new int[] {1 + random.nextInt(16), 1 + random.nextInt(16)});
    }
    LengthHistogram prompts = LengthHistogram.of(lengths.stream().mapToInt(l -> l[0]).toArray());
    LengthHistogram outputs = LengthHistogram.of(lengths.stream().mapToInt(l -> l[1]).toArray());
    double work = lengths.stream().mapToDouble(l -> (l[1] + 1) * (l[0] + l[1] / 2.0)).sum() / count;
    double rate =
        OVERLOAD * new FluidModel(1, work, outputs.mean(), COST, memory.tokens()).sustainableRate();
    List<Job> jobs = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int[] length = lengths.get(i);
      jobs.add(Job.of(i / rate, length[0], length[1], length[1]));
    }
    for (Preemption preemption : Preemption.values()) {
      for (Declared declared : TOLD) {
        Optional<Workload> workload =
            declared == Declared.NOTHING
                ? Optional.empty()
                : Optional.of(new Workload(rate, prompts, outputs));
        SchedulerConfig config = config(memory, limits, preemption, COST, workload);
        String name =
            "one large request among forty at "
                + OVERLOAD
                + " times the sustainable rate, "
                + describe(config);
        Optional<VirtualDriver> run = evidence.run(new Scenario(config, jobs), name);
        long grace = 8L * limits.maxSequences();
        if (run.isPresent() && run.get().latestPosition() > grace) {
          evidence.add(ConformanceProperty.NO_STARVATION, run.get().latest(), name);
        }
        if (run.isPresent() && run.get().mostPassedBy() > grace) {
          evidence.add(ConformanceProperty.NO_STARVATION, run.get().passedBy(), name);
        }
      }
    }
  }

  // ---- the end of a load

  private void lastOnes(Evidence evidence) {
    for (int count = 1; count <= 20; count++) {
      for (double pause : new double[] {0, 0.05}) {
        for (Declared declared : TOLD) {
          Random random = new Random(settings.seed() + count);
          List<Job> jobs = new ArrayList<>();
          double serial = 0;
          for (int i = 0; i < count; i++) {
            Job job = job(random, pause * i, 60, 60);
            jobs.add(job);
            serial += (job.promptTokens() + job.outputTokens()) * COST.seconds(960);
          }
          SchedulerConfig config =
              config(
                  new KvCapacity(60, 16, 0),
                  new BatchLimits(16, 64),
                  Preemption.RECOMPUTE,
                  COST,
                  declared.workload(10, jobs));
          String name = count + " requests, one every " + pause + " s, " + describe(config);
          Optional<VirtualDriver> run = evidence.run(new Scenario(config, jobs), name);
          double limit = 60 + 10 * serial;
          if (run.isPresent() && run.get().outcome().seconds() - run.get().lastArrival() > limit) {
            evidence.add(
                ConformanceProperty.DRAIN,
                "the last request ended only "
                    + (run.get().outcome().seconds() - run.get().lastArrival())
                    + " s after the last arrival; one after another they take less than "
                    + serial
                    + " s",
                name);
          }
        }
      }
    }
  }

  // ---- departures

  private void cancellations(Evidence evidence) {
    Map<Standing, Integer> standings = new EnumMap<>(Standing.class);
    for (Preemption preemption : Preemption.values()) {
      for (Declared declared : TOLD) {
        Random random = new Random(settings.seed());
        List<Job> few = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
          few.add(job(random, 0, 20, 16));
        }
        cancel(
            evidence,
            new Scenario(
                config(
                    new KvCapacity(12, 4, 20),
                    new BatchLimits(12, 12),
                    preemption,
                    COST,
                    declared.workload(10, few)),
                few),
            Integer.MAX_VALUE,
            standings);
        List<Job> many = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
          many.add(job(random, 0, 40, 128));
        }
        cancel(
            evidence,
            new Scenario(
                config(
                    new KvCapacity(100, 16, 200),
                    new BatchLimits(64, 256),
                    preemption,
                    COST,
                    declared.workload(10, many)),
                many),
            10,
            standings);
      }
    }
    randomWorkloads(evidence, settings.seed() + 1, true);
    int steps = Math.min(settings.steps(), 20_000);
    SchedulerConfig config = steadyConfig();
    evidence
        .scheduler(config)
        .ifPresent(
            scheduler ->
                runAndLookAtGauges(
                    evidence,
                    ConformanceProperty.CANCELLATION,
                    evidence.driver(scheduler, config, 2 * steps),
                    steady(steps, true),
                    scheduler,
                    steps + " plans, one in eight cancelled, " + describe(config)));
    evidence.remark("cancelled while " + standings);
  }

  /**
   * Runs the scenario once, and then again and again with one request cancelled before one plan:
   * for each standing at most {@code samples} of all the possibilities.
   */
  private void cancel(
      Evidence evidence, Scenario scenario, int samples, Map<Standing, Integer> standings) {
    SchedulerConfig config = scenario.config();
    List<Job> jobs = scenario.jobs();
    Optional<VirtualDriver> undisturbed = evidence.driver(config, scenario.iterationLimit());
    if (undisturbed.isEmpty()) {
      return;
    }
    undisturbed.get().keepSightings();
    evidence.run(undisturbed.get(), new JobList(jobs), describe(config));
    failBatches(evidence, scenario, undisturbed.get().outcome().iterations(), samples);
    Random random = new Random(settings.seed());
    for (List<Sighting> sightings : undisturbed.get().sightings().values()) {
      Collections.shuffle(sightings, random);
      for (Sighting sighting : sightings.subList(0, Math.min(samples, sightings.size()))) {
        Job job = jobs.get(sighting.index());
        List<Job> changed = new ArrayList<>(jobs);
        changed.set(
            sighting.index(),
            new Job(
                job.arrivalTime(),
                job.promptTokens(),
                job.maxOutputTokens(),
                job.outputTokens(),
                sighting.iteration()));
        Scheduler scheduler = settings.factory().create(config);
        VirtualDriver driver = evidence.driver(scheduler, config, scenario.iterationLimit());
        runAndLookAtGauges(
            evidence,
            ConformanceProperty.CANCELLATION,
            driver,
            new JobList(changed),
            scheduler,
            "arrival "
                + (sighting.index() + 1)
                + " of "
                + jobs.size()
                + " cancelled at plan "
                + sighting.iteration()
                + ", "
                + describe(config));
        driver.cancellations().forEach((s, n) -> standings.merge(s, n, Integer::sum));
      }
    }
  }

  /** Runs the scenario again and again, each time with another iteration that fails. */
  private void failBatches(Evidence evidence, Scenario scenario, int iterations, int samples) {
    SchedulerConfig config = scenario.config();
    int interval = Math.max(1, iterations / samples);
    for (int failing = 0; failing < iterations; failing += interval) {
      Scheduler scheduler = settings.factory().create(config);
      VirtualDriver driver = evidence.driver(scheduler, config, scenario.iterationLimit());
      driver.fail(failing);
      runAndLookAtGauges(
          evidence,
          ConformanceProperty.CANCELLATION,
          driver,
          new JobList(scenario.jobs()),
          scheduler,
          scenario.jobs().size()
              + " requests, iteration "
              + failing
              + " fails, "
              + describe(config));
    }
  }

  // ---- the same again

  private void repetitions(Evidence evidence) {
    for (Preemption preemption : Preemption.values()) {
      for (Declared declared : TOLD) {
        Scenario scenario = crowd(preemption, declared, settings.seed());
        Optional<VirtualDriver> first = repeat(evidence, scenario, false);
        repeat(evidence, crowd(preemption, declared, settings.seed() + 1), false);
        Optional<VirtualDriver> second = repeat(evidence, scenario, false);
        Optional<VirtualDriver> slow = repeat(evidence, scenario, true);
        if (first.isPresent() && second.isPresent() && slow.isPresent()) {
          compare(evidence, first.get(), second.get(), "a second run", scenario);
          compare(evidence, first.get(), slow.get(), "a run on a slow machine", scenario);
        }
      }
    }
  }

  private Scenario crowd(Preemption preemption, Declared declared, long seed) {
    Random random = new Random(seed);
    List<Job> jobs = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      jobs.add(job(random, i < 50 ? 0 : 0.03 * i, 60, 60));
    }
    SchedulerConfig config =
        config(
            new KvCapacity(60, 16, 40),
            new BatchLimits(24, 64),
            preemption,
            COST,
            declared.workload(10, jobs));
    return new Scenario(config, jobs);
  }

  private Optional<VirtualDriver> repeat(Evidence evidence, Scenario scenario, boolean slow) {
    Optional<VirtualDriver> driver =
        evidence
            .scheduler(scenario.config())
            .map(
                s ->
                    evidence.driver(
                        slow ? new SlowMachine(s) : s,
                        scenario.config(),
                        scenario.iterationLimit()));
    driver.ifPresent(
        d -> {
          d.keepHistory();
          evidence.run(
              d, new JobList(scenario.jobs()), "100 requests, " + describe(scenario.config()));
        });
    return driver;
  }

  private static void compare(
      Evidence evidence, VirtualDriver first, VirtualDriver other, String run, Scenario scenario) {
    List<Long> expected = first.history();
    List<Long> actual = other.history();
    int same = 0;
    while (same < Math.min(expected.size(), actual.size())
        && expected.get(same).equals(actual.get(same))) {
      same++;
    }
    if (same < Math.max(expected.size(), actual.size())) {
      evidence.add(
          ConformanceProperty.DETERMINISM,
          run + " makes other decisions from plan " + same + " on",
          "100 requests, " + describe(scenario.config()));
    }
  }

  /** Takes its time before every call. */
  private record SlowMachine(Scheduler scheduler) implements Scheduler {
    private static final long NANOSECONDS = 20_000;

    @Override
    public void arrived(Request request, double now) {
      pass();
      scheduler.arrived(request, now);
    }

    @Override
    public void plan(IterationPlan plan) {
      pass();
      scheduler.plan(plan);
    }

    @Override
    public void departed(Request request, double now) {
      pass();
      scheduler.departed(request, now);
    }

    private static void pass() {
      long start = System.nanoTime();
      while (System.nanoTime() - start < NANOSECONDS) {
        Thread.onSpinWait();
      }
    }
  }

  // ---- anything

  private void randomWorkloads(Evidence evidence, long seed, boolean cancellations) {
    RandomWorkloads.forEach(
        settings.tries(),
        seed,
        cancellations,
        settings.options(),
        generated -> {
          for (Finding finding : evidence.findings(generated.value())) {
            ConformanceProperty property = finding.property();
            if (!evidence.has(property)) {
              Scenario smallest =
                  RandomWorkloads.shrink(
                      generated, s -> broken(evidence.findings(s)).contains(property));
              evidence.findings(smallest).stream()
                  .filter(seen -> seen.property() == property)
                  .forEach(seen -> evidence.add(seen, smallest.toString()));
            }
          }
        });
  }

  private static Set<ConformanceProperty> broken(List<Finding> findings) {
    Set<ConformanceProperty> broken = EnumSet.noneOf(ConformanceProperty.class);
    findings.forEach(finding -> broken.add(finding.property()));
    return broken;
  }

  // ---- without end

  private void longRun(Evidence evidence) {
    SchedulerConfig config = steadyConfig();
    Optional<Scheduler> scheduler = evidence.scheduler(config);
    if (scheduler.isEmpty()) {
      return;
    }
    int steps = settings.steps();
    String name = steps + " plans, " + describe(config);
    SteadyLoad load = steady(steps, false);
    boolean ended =
        runAndLookAtGauges(
            evidence,
            ConformanceProperty.LONG_RUN,
            evidence.driver(scheduler.get(), config, 2 * steps),
            load,
            scheduler.get(),
            name);
    if (!ended) {
      return;
    }
    if (!Heap.collects()) {
      evidence.remark("memory not judged, System.gc() is switched off");
      return;
    }
    long retained = load.retained();
    if (retained > 4L * config.limits().maxSequences()) {
      evidence.add(
          ConformanceProperty.LONG_RUN,
          retained + " of " + load.remembered() + " departed requests are still referred to",
          name);
    }
    long growth = Heap.used() - load.heapAtHalf();
    if (growth > HEAP_NOISE) {
      evidence.add(
          ConformanceProperty.LONG_RUN,
          "the heap grew by " + growth + " bytes in the second half, at the same load",
          name);
    }
    evidence.remark("heap growth " + growth / 1024 + " KiB");
    Reference.reachabilityFence(scheduler.get());
  }

  private SchedulerConfig steadyConfig() {
    return config(
        new KvCapacity(24, 16, 16),
        new BatchLimits(8, 64),
        Preemption.SWAP,
        COST,
        Optional.of(
            new Workload(
                10,
                LengthHistogram.of(IntStream.rangeClosed(1, 32).toArray()),
                LengthHistogram.of(IntStream.rangeClosed(1, 48).toArray()))));
  }

  private SteadyLoad steady(int steps, boolean cancel) {
    return new SteadyLoad(12, steps, 32, 48, cancel, new Random(settings.seed()));
  }

  /** Returns whether the run came to its end. */
  private static boolean runAndLookAtGauges(
      Evidence evidence,
      ConformanceProperty property,
      VirtualDriver driver,
      Arrivals arrivals,
      Scheduler scheduler,
      String name) {
    GaugeWatch gauges = new GaugeWatch(arrivals, scheduler);
    List<Finding> found = evidence.findings(driver, gauges);
    found.forEach(finding -> evidence.add(finding, name));
    boolean ended = found.stream().noneMatch(Finding::stopped);
    if (ended && !evidence.has(property)) {
      gauges
          .leftOver()
          .ifPresent(
              gauge -> evidence.add(property, "nobody is left, but the gauge " + gauge, name));
    }
    return ended;
  }

  // ---- too large

  private void tooLarge(Evidence evidence) {
    List<Job> jobs =
        List.of(
            Job.of(0, 10, 31, 31),
            Job.of(0, 5, 10, 10),
            Job.of(0, 10, 32, 32),
            Job.of(0.1, 40, 1, 1),
            Job.of(0.1, 41, 1, 1),
            Job.of(0.1, 1000, 1000, 1000),
            Job.of(0.1, Integer.MAX_VALUE, Integer.MAX_VALUE, 1),
            Job.of(0.2, 5, 10, 10));
    for (Preemption preemption : Preemption.values()) {
      for (Declared declared : TOLD) {
        SchedulerConfig config =
            config(
                new KvCapacity(10, 4, 10),
                new BatchLimits(4, 16),
                preemption,
                COST,
                declared.workload(10, jobs.subList(0, 2)));
        evidence
            .driver(config, 10_000)
            .ifPresent(d -> evidence.run(d, new JobList(jobs), jobs + ", " + config));
      }
    }
  }

  // ---- a quiet day

  private void fewAndFarBetween(Evidence evidence) {
    for (Preemption preemption : Preemption.values()) {
      for (Declared declared : TOLD) {
        Random random = new Random(settings.seed());
        List<Job> jobs = new ArrayList<>();
        for (int group = 0; group < 30; group++) {
          for (int i = 0; i <= group % 5; i++) {
            jobs.add(job(random, 1000.0 * group + 0.3 * i, 60, 60));
          }
        }
        SchedulerConfig config =
            config(
                new KvCapacity(60, 16, 40),
                new BatchLimits(16, 64),
                preemption,
                COST,
                declared.workload(0.003, jobs));
        evidence.run(
            new Scenario(config, jobs), "one to five requests every 1000 s, " + describe(config));
      }
    }
  }

  // ---- shared

  private SchedulerConfig config(
      KvCapacity memory,
      BatchLimits limits,
      Preemption preemption,
      IterationCost cost,
      Optional<Workload> workload) {
    return new SchedulerConfig(memory, limits, preemption, cost, workload, settings.options());
  }

  private static Job job(Random random, double time, int longestPrompt, int longestOutput) {
    int prompt = 1 + random.nextInt(longestPrompt);
    return Job.of(time, prompt, longestOutput, 1 + random.nextInt(longestOutput));
  }

  static String describe(SchedulerConfig config) {
    KvCapacity memory = config.memory();
    return memory.blocks()
        + " blocks of "
        + memory.blockSize()
        + (memory.swapBlocks() > 0 ? " and " + memory.swapBlocks() + " swap blocks, " : ", ")
        + config.limits()
        + ", "
        + config.preemption()
        + (config.workload().isPresent() ? ", workload declared" : ", no workload")
        + ", options "
        + config.options();
  }
}
