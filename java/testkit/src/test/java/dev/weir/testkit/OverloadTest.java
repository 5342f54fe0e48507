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
import dev.weir.scheduling.fluid.FluidModel;
import dev.weir.testkit.VirtualDriver.Job;
import dev.weir.testkit.VirtualDriver.Outcome;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.function.ToIntFunction;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Everything arrives at once and the pool is small: the load under which first come, first served
 * thrashes.
 */
class OverloadTest {
  enum Lengths {
    UNIFORM(400, 100, r -> 16 + r.nextInt(113)),
    BIMODAL(300, 2700, r -> new int[] {100, 400, 1500}[r.nextInt(3)]),
    EXPONENTIAL(
        600, 1250, r -> Math.clamp((int) Math.ceil(-200 * Math.log(1 - r.nextDouble())), 1, 1000)),
    HEAVY_TAILED(
        600, 500, r -> Math.clamp((int) (40 * Math.pow(1 - r.nextDouble(), -0.8)), 1, 2000)),
    EQUAL(300, 125, r -> 100);

    final int requests;
    final int blocks;
    final ToIntFunction<Random> sample;

    Lengths(int requests, int blocks, ToIntFunction<Random> sample) {
      this.requests = requests;
      this.blocks = blocks;
      this.sample = sample;
    }

    List<Job> jobs() {
      Random random = new Random(20261120);
      List<int[]> lengths = new ArrayList<>();
      for (int i = 0; i < requests; i++) {
        lengths.add(new int[] {1 + random.nextInt(40), sample.applyAsInt(random)});
      }
      int longest = lengths.stream().mapToInt(l -> l[1]).max().orElseThrow();
      return lengths.stream().map(l -> Job.of(0, l[0], longest, l[1])).toList();
    }

    Outcome run(String scheduler, Preemption preemption) {
      List<Job> jobs = jobs();
      Workload workload =
          new Workload(
              100,
              LengthHistogram.of(jobs.stream().mapToInt(Job::promptTokens).toArray()),
              LengthHistogram.of(jobs.stream().mapToInt(Job::outputTokens).toArray()));
      SchedulerConfig config =
          new SchedulerConfig(
              new KvCapacity(blocks, 16, preemption == Preemption.SWAP ? 16L * blocks : 0),
              new BatchLimits(256, 2048),
              preemption,
              new IterationCost(0.0135, 1.8e-7),
              Optional.of(workload),
              SchedulerOptions.of(Map.of()));
      return new VirtualDriver(Schedulers.create(scheduler, config), config, 100_000, false)
          .run(jobs);
    }
  }

  @ParameterizedTest
  @EnumSource
  void nestedWaitEvictsFarLessThanFcfs(Lengths lengths) {
    Outcome fcfs = lengths.run("fcfs", Preemption.RECOMPUTE);
    Outcome nested = lengths.run("nested-wait", Preemption.RECOMPUTE);
    assertThat(fcfs.recomputedTokens()).as("fcfs thrashes").isGreaterThan(fcfs.outputTokens() / 3);
    assertThat(nested.evictions()).isLessThan(fcfs.evictions() / 10);
    assertThat(nested.recomputedTokens()).isLessThan(nested.outputTokens() / 20);
    assertThat(nested.outputTokens()).isEqualTo(fcfs.outputTokens());
    // Nothing is evicted from an empty pool: the memory must be put to use, too.
    assertThat(nested.meanUtilisation()).isGreaterThan(0.5);
  }

  @ParameterizedTest
  @EnumSource
  void swapRecomputesNothing(Lengths lengths) {
    for (String scheduler : List.of("fcfs", "nested-wait")) {
      Outcome outcome = lengths.run(scheduler, Preemption.SWAP);
      assertThat(outcome.recomputedTokens()).isZero();
    }
  }

  /**
   * All but those that put memory aside for the longest output, which wastes half of it here, and
   * the one that spends an iteration of its own on almost every prompt.
   */
  static List<SchedulerFactory> factories() {
    return Schedulers.all().stream()
        .filter(
            factory -> !List.of("orca", "reserve", "static", "vllm-v0").contains(factory.name()))
        .sorted(Comparator.comparing(SchedulerFactory::name))
        .toList();
  }

  @ParameterizedTest
  @MethodSource("factories")
  void aLoadBelowTheSustainableRateIsServedAsItComes(SchedulerFactory factory) {
    Random random = new Random(7);
    KvCapacity memory = new KvCapacity(1250, 16, 0);
    IterationCost cost = new IterationCost(0.0135, 1.8e-7);
    LengthHistogram prompts = LengthHistogram.of(10, 20, 30);
    LengthHistogram outputs = LengthHistogram.of(50, 100, 150, 200);
    double rate =
        0.5 * FluidModel.of(new Workload(1, prompts, outputs), cost, memory).sustainableRate();
    List<Job> jobs = new ArrayList<>();
    double time = 0;
    for (int i = 0; i < 2000; i++) {
      time -= Math.log(1 - random.nextDouble()) / rate;
      jobs.add(
          Job.of(
              time,
              prompts.quantile(random.nextDouble()),
              200,
              outputs.quantile(random.nextDouble())));
    }
    SchedulerConfig config =
        new SchedulerConfig(
            memory,
            new BatchLimits(256, 2048),
            Preemption.RECOMPUTE,
            cost,
            Optional.of(new Workload(rate, prompts, outputs)),
            SchedulerOptions.of(OurSchedulers.options(factory.name())));
    Outcome outcome =
        new VirtualDriver(
                factory.create(config),
                config,
                1_000_000,
                OurSchedulers.clairvoyant(factory.name()))
            .run(jobs);
    assertThat(outcome.evictions()).isZero();
    assertThat(outcome.longestWaitSeconds()).isLessThan(1);
  }
}
