package dev.weir.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.RequestClass;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Schedulers;
import dev.weir.scheduling.Workload;
import dev.weir.scheduling.fluid.FluidModel;
import dev.weir.testkit.VirtualDriver.Job;
import dev.weir.testkit.VirtualDriver.Outcome;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/**
 * WAIT and Nested WAIT in both modes under random classes, loads and pools. {@link VirtualDriver}
 * checks books, limits, and that each request ends.
 */
class WaitPropertiesTest {
  private static final IterationCost COST = new IterationCost(0.01, 1e-5);

  /** Classes, a load that they may or may not describe, and the room that it gets. */
  record Scenario(
      List<RequestClass> classes,
      KvCapacity memory,
      BatchLimits limits,
      Preemption preemption,
      boolean declaredRightly,
      long seed) {

    List<Job> jobs(boolean cancelled) {
      Random random = new Random(seed);
      List<Job> jobs = new ArrayList<>();
      double rate = classes.stream().mapToDouble(RequestClass::arrivalRate).sum();
      double time = 0;
      int count = 1 + random.nextInt(200);
      for (int i = 0; i < count; i++) {
        time -= Math.log(1 - random.nextDouble()) / rate;
        RequestClass c = classes.get(random.nextInt(classes.size()));
        int prompt = declaredRightly ? c.promptTokens() : 1 + random.nextInt(30);
        int output = declaredRightly ? c.outputTokens() : 1 + random.nextInt(30);
        jobs.add(
            new Job(
                time,
                prompt,
                output + random.nextInt(5),
                output,
                cancelled && random.nextInt(4) == 0 ? random.nextInt(300) : Job.NEVER));
      }
      return jobs;
    }

    SchedulerConfig config(Map<String, String> options) {
      return new SchedulerConfig(
          memory,
          limits,
          preemption,
          COST,
          Optional.of(Workload.of(classes)),
          SchedulerOptions.of(options));
    }

    /** The same as the theory has it: lengths as declared, no blocks, no limit of an iteration. */
    Scenario ample() {
      return new Scenario(
          classes,
          new KvCapacity(memory.tokens(), 1, 0),
          new BatchLimits(1000, 10_000),
          Preemption.RECOMPUTE,
          true,
          seed);
    }

    Outcome run(String scheduler, Map<String, String> options, boolean cancelled) {
      List<Job> jobs = jobs(cancelled);
      long tokens = jobs.stream().mapToLong(j -> j.promptTokens() + j.outputTokens()).sum();
      SchedulerConfig config = config(options);
      return new VirtualDriver(
              Schedulers.create(scheduler, config), config, (int) (1000 + 60 * tokens), true)
          .run(jobs);
    }
  }

  @Provide
  Arbitrary<Scenario> scenarios() {
    Arbitrary<RequestClass> requestClass =
        Combinators.combine(
                Arbitraries.doubles().between(1, 50),
                Arbitraries.integers().between(1, 20),
                Arbitraries.integers().between(1, 20))
            .as(RequestClass::new);
    // One request per stage of the largest class, 21 * 30 tokens, fits four times; 34 tokens, what
    // the longest undeclared one takes, always do.
    return Combinators.combine(
            requestClass.list().ofMinSize(1).ofMaxSize(4).uniqueElements(this::lengths),
            Combinators.combine(
                    Arbitraries.integers().between(2600, 8000), Arbitraries.of(1, 3, 16))
                .as((tokens, block) -> new KvCapacity(tokens / block, block, 100)),
            Combinators.combine(
                    Arbitraries.integers().between(80, 400), Arbitraries.of(8, 100, 4000))
                .as(BatchLimits::new),
            Arbitraries.of(Preemption.class),
            Arbitraries.of(true, false),
            Arbitraries.longs())
        .as(Scenario::new);
  }

  private int lengths(RequestClass c) {
    return 1000 * c.promptTokens() + c.outputTokens();
  }

  private static Map<String, String> strict(String name, String value) {
    return new TreeMap<>(Map.of("mode", "strict", name, value));
  }

  @Property(tries = 300, edgeCases = EdgeCasesMode.NONE)
  void everyRequestEndsOnceArrivalsHaveEnded(@ForAll("scenarios") Scenario scenario) {
    for (String scheduler : List.of("wait", "nested-wait")) {
      for (Map<String, String> options :
          List.of(Map.<String, String>of(), strict("drain", "2"), strict("maxHold", "0.3"))) {
        Outcome outcome = scenario.run(scheduler, options, true);
        assertThat(outcome.completed() + outcome.cancelled()).isEqualTo(scenario.jobs(true).size());
        assertThat(outcome).isEqualTo(scenario.run(scheduler, options, true));
      }
    }
  }

  /** Of a class, requests enter in order of arrival, so with one class nobody is overtaken. */
  @Property(tries = 200, edgeCases = EdgeCasesMode.NONE)
  void withOneClassNobodyIsOvertaken(@ForAll("scenarios") Scenario scenario) {
    Scenario single =
        new Scenario(
            scenario.classes.subList(0, 1),
            scenario.memory,
            scenario.limits,
            scenario.preemption,
            scenario.declaredRightly,
            scenario.seed);
    for (Map<String, String> options : List.of(Map.<String, String>of(), strict("drain", "2"))) {
      assertThat(single.run("wait", options, false).inArrivalOrder()).isTrue();
    }
  }

  @Property(tries = 200, edgeCases = EdgeCasesMode.NONE)
  void nobodyIsEvictedIfLengthsAndBudgetAreWhatWasDeclared(@ForAll("scenarios") Scenario scenario) {
    Scenario ample = scenario.ample();
    assertThat(ample.run("wait", Map.of(), true).evictions()).isZero();
    // M(n) <= C, and no stage ever has more than its threshold.
    assertThat(ample.run("wait", strict("drain", "1000"), false).evictions()).isZero();
  }

  /** A load that the thresholds carry is served as it comes, without a backlog. */
  @Property(tries = 100, edgeCases = EdgeCasesMode.NONE)
  void aLoadWithinTheThresholdsIsServed(@ForAll("scenarios") Scenario scenario) {
    Workload workload = Workload.of(scenario.classes);
    FluidModel model = FluidModel.of(workload, COST, scenario.memory);
    if (model.stabilityMargin() < 0.3) {
      return;
    }
    Outcome outcome = scenario.ample().run("wait", Map.of(), false);
    assertThat(outcome.longestWaitSeconds()).isLessThan(5);
  }
}
