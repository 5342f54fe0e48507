package dev.weir.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Schedulers;
import dev.weir.scheduling.Workload;
import dev.weir.testkit.VirtualDriver.Job;
import dev.weir.testkit.VirtualDriver.Outcome;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;

/**
 * What holds for every scheduler and every load. {@link VirtualDriver} checks, in each iteration,
 * that the plan exceeds no limit and agrees with independent books; at the end, that each request
 * ended exactly once with the right number of tokens computed and that the pool is whole again.
 */
class SchedulerPropertiesTest {
  private static final Set<String> ARRIVAL_ORDER =
      Set.of("fcfs", "nested-wait", "orca", "sarathi", "static", "vllm-v0");

  /** A scheduler, what it has to work with, and a load whose every request fits the pool alone. */
  record Scenario(String scheduler, SchedulerConfig config, List<Job> jobs) {
    Outcome run() {
      long tokens = jobs.stream().mapToLong(j -> j.promptTokens() + j.outputTokens()).sum();
      return new VirtualDriver(
              Schedulers.create(scheduler, config),
              config,
              (int) (100 + 50 * tokens),
              OurSchedulers.clairvoyant(scheduler))
          .run(jobs);
    }

    @Override
    public String toString() {
      return scheduler + " " + config + " " + jobs;
    }
  }

  /** Whether the scheduler is told nothing, the truth, or something wrong about lengths. */
  enum Knowledge {
    NONE,
    RIGHT,
    TOO_SHORT,
    TOO_LONG
  }

  @Provide
  Arbitrary<Scenario> scenarios() {
    // The blocks are added to what the largest request needs.
    Arbitrary<KvCapacity> memory =
        Combinators.combine(
                Arbitraries.integers().between(1, 40),
                Arbitraries.of(1, 2, 3, 4, 16),
                Arbitraries.of(0, 3, 10, 100))
            .as(KvCapacity::new);
    Arbitrary<BatchLimits> limits =
        Combinators.combine(
                Arbitraries.integers().between(1, 12), Arbitraries.of(1, 2, 5, 16, 64, 512))
            .as(BatchLimits::new);
    Arbitrary<Map<String, String>> nestedOptions =
        Arbitraries.of(
            Map.of(),
            Map.of("segments", "1"),
            Map.of("segments", "5"),
            Map.of("boundaries", "3,9", "fill", "0"),
            Map.of("maxHold", "0", "pace", "0.1"),
            Map.of("fill", "0", "pace", "100"));
    return Combinators.combine(
            Arbitraries.of(Schedulers.all().stream().map(SchedulerFactory::name).toList()),
            memory,
            limits,
            Arbitraries.of(Preemption.class),
            Arbitraries.of(Knowledge.class),
            Combinators.combine(nestedOptions, Arbitraries.of(0.0, 0.2)).as(Tuple::of),
            Arbitraries.longs(),
            Arbitraries.of(0.0, 1.0, 10.0))
        .as(
            (scheduler, extra, limit, preemption, knowledge, options, seed, spread) -> {
              List<Job> jobs = jobs(new Random(seed), spread, limit.maxSequences());
              String watermark = options.get2().toString();
              Map<String, String> chosen =
                  switch (scheduler) {
                    case "fcfs", "vllm-v0" -> Map.of("watermark", watermark);
                    case "sarathi" ->
                        Map.of("watermark", watermark, "chunk", Long.toString(1 + (seed & 31)));
                    case "nested-wait" -> options.get1();
                    default -> OurSchedulers.options(scheduler);
                  };
              return scenario(scheduler, extra, limit, preemption, knowledge, chosen, jobs);
            });
  }

  private static List<Job> jobs(Random random, double spread, int scale) {
    int count = 1 + random.nextInt(4 * scale);
    int longest = 1 + random.nextInt(40);
    boolean cancel = random.nextBoolean();
    List<Job> jobs = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int output = 1 + random.nextInt(longest);
      jobs.add(
          new Job(
              spread * random.nextDouble(),
              1 + random.nextInt(30),
              output + random.nextInt(10),
              output,
              cancel && random.nextInt(3) == 0 ? random.nextInt(100) : Job.NEVER));
    }
    return jobs;
  }

  private static Scenario scenario(
      String scheduler,
      KvCapacity extra,
      BatchLimits limits,
      Preemption preemption,
      Knowledge knowledge,
      Map<String, String> options,
      List<Job> jobs) {
    long largest = 0;
    for (Job job : jobs) {
      largest = Math.max(largest, extra.blocksFor(job.promptTokens() + job.maxOutputTokens() - 1));
    }
    KvCapacity memory =
        new KvCapacity(largest + extra.blocks() - 1, extra.blockSize(), extra.swapBlocks());
    SchedulerOptions schedulerOptions = SchedulerOptions.of(options);
    IterationCost cost = new IterationCost(0.01, 1e-5);
    Optional<Workload> workload = workload(knowledge, jobs);
    SchedulerConfig config =
        new SchedulerConfig(memory, limits, preemption, cost, workload, schedulerOptions);
    try {
      Schedulers.create(scheduler, config);
    } catch (IllegalArgumentException e) {
      // The safety buffer alone exceeds such a pool; NestedWaitThresholdsTest covers the refusal.
      assertThat(e).hasMessageContaining("enlarge the pool");
      config =
          new SchedulerConfig(memory, limits, preemption, cost, Optional.empty(), schedulerOptions);
    }
    return new Scenario(scheduler, config, jobs);
  }

  private static Optional<Workload> workload(Knowledge knowledge, List<Job> jobs) {
    int[] prompts = jobs.stream().mapToInt(Job::promptTokens).toArray();
    int[] outputs = jobs.stream().mapToInt(Job::outputTokens).toArray();
    LengthHistogram prompt = LengthHistogram.of(prompts);
    return switch (knowledge) {
      case NONE -> Optional.empty();
      case RIGHT -> Optional.of(new Workload(10, prompt, LengthHistogram.of(outputs)));
      case TOO_SHORT -> Optional.of(new Workload(10, prompt, LengthHistogram.of(1, 2, 3)));
      case TOO_LONG -> Optional.of(new Workload(10, prompt, LengthHistogram.of(30, 60, 90)));
    };
  }

  @Property(tries = 1500, edgeCases = EdgeCasesMode.NONE)
  void everyRequestEndsExactlyOnceWithinTheLimits(@ForAll("scenarios") Scenario scenario) {
    Outcome outcome = scenario.run();
    assertThat(outcome.completed() + outcome.cancelled()).isEqualTo(scenario.jobs().size());
    long mustComplete =
        scenario.jobs().stream().filter(j -> j.cancelAtIteration() == Job.NEVER).count();
    assertThat(outcome.completed()).isGreaterThanOrEqualTo(mustComplete);
    if (ARRIVAL_ORDER.contains(scenario.scheduler())) {
      assertThat(outcome.inArrivalOrder()).isTrue();
    }
  }

  @Property(tries = 300, edgeCases = EdgeCasesMode.NONE)
  void theSameCallsGiveTheSameDecisions(@ForAll("scenarios") Scenario scenario) {
    assertThat(scenario.run()).isEqualTo(scenario.run());
  }

  @Property(tries = 300, edgeCases = EdgeCasesMode.NONE)
  void nestedWaitWithoutAWorkloadNeverEvicts(@ForAll("scenarios") Scenario scenario) {
    SchedulerConfig c = scenario.config();
    SchedulerConfig blind =
        new SchedulerConfig(
            c.memory(),
            c.limits(),
            c.preemption(),
            c.cost(),
            Optional.empty(),
            SchedulerOptions.none());
    Outcome outcome = new Scenario("nested-wait", blind, scenario.jobs()).run();
    assertThat(outcome.evictions()).isZero();
  }
}
