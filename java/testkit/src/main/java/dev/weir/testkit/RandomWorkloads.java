package dev.weir.testkit;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.testkit.VirtualDriver.Job;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.stream.Stream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.RandomGenerator;
import net.jqwik.api.Shrinkable;
import net.jqwik.api.Tuple;
import net.jqwik.api.sessions.JqwikSession;

/**
 * Scenarios made by jqwik, and shrunk by it when they fail. Only jqwik's library is used, not its
 * test engine.
 */
final class RandomWorkloads {
  private static final int LONGEST_PROMPT = 30;
  private static final int LONGEST_OUTPUT = 40;
  private static final int MOST_JOBS = 40;

  /** Failing cases that are tried to make one smaller. */
  private static final int SHRINKING_STEPS = 2000;

  private RandomWorkloads() {}

  /**
   * Hands {@code tries} scenarios to {@code body}, the same ones for the same seed.
   *
   * @param cancellations whether some requests are cancelled
   */
  static void forEach(
      int tries,
      long seed,
      boolean cancellations,
      SchedulerOptions options,
      Consumer<Shrinkable<Scenario>> body) {
    JqwikSession.run(
        () -> {
          RandomGenerator<Scenario> generator =
              scenarios(cancellations, options).generator(tries, false);
          Random random = new Random(seed);
          for (int i = 0; i < tries; i++) {
            body.accept(generator.next(random));
          }
        });
  }

  /** A small scenario for which {@code fails} still holds. Within {@link #forEach} only. */
  static Scenario shrink(Shrinkable<Scenario> failing, Predicate<Scenario> fails) {
    Shrinkable<Scenario> smallest = failing;
    int left = SHRINKING_STEPS;
    boolean smaller = true;
    while (smaller && left > 0) {
      smaller = false;
      try (Stream<Shrinkable<Scenario>> candidates = smallest.shrink()) {
        for (var i = candidates.iterator(); i.hasNext() && left > 0 && !smaller; left--) {
          Shrinkable<Scenario> candidate = i.next();
          if (candidate.compareTo(smallest) < 0 && fails.test(candidate.value())) {
            smallest = candidate;
            smaller = true;
          }
        }
      }
    }
    return smallest.value();
  }

  private static Arbitrary<Scenario> scenarios(boolean cancellations, SchedulerOptions options) {
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
    return Combinators.combine(
            memory,
            limits,
            Arbitraries.of(Preemption.class),
            Arbitraries.of(Declared.class),
            jobs(cancellations))
        .as(
            (extra, limit, preemption, declared, jobs) ->
                scenario(extra, limit, preemption, declared, options, jobs));
  }

  private static Arbitrary<List<Job>> jobs(boolean cancellations) {
    Arbitrary<Integer> never = Arbitraries.just(Job.NEVER);
    Arbitrary<Integer> cancelAt =
        cancellations
            ? Arbitraries.frequencyOf(
                Tuple.of(2, never), Tuple.of(1, Arbitraries.integers().between(0, 100)))
            : never;
    return Arbitraries.of(0.0, 0.001, 0.01)
        .flatMap(
            spread ->
                Combinators.combine(
                        Arbitraries.integers().between(0, 1000),
                        Arbitraries.integers().between(1, LONGEST_PROMPT),
                        Arbitraries.integers().between(1, LONGEST_OUTPUT),
                        Arbitraries.integers().between(0, 9),
                        cancelAt)
                    .as(
                        (time, prompt, output, more, cancel) ->
                            new Job(spread * time, prompt, output + more, output, cancel))
                    .list()
                    .ofMinSize(1)
                    .ofMaxSize(MOST_JOBS));
  }

  private static Scenario scenario(
      KvCapacity extra,
      BatchLimits limits,
      Preemption preemption,
      Declared declared,
      SchedulerOptions options,
      List<Job> jobs) {
    long largest = 0;
    for (Job job : jobs) {
      largest = Math.max(largest, extra.blocksFor(job.promptTokens() + job.maxOutputTokens() - 1));
    }
    KvCapacity memory =
        new KvCapacity(largest + extra.blocks() - 1, extra.blockSize(), extra.swapBlocks());
    return new Scenario(
        new SchedulerConfig(
            memory,
            limits,
            preemption,
            new IterationCost(0.01, 1e-5),
            declared.workload(10, jobs),
            options),
        jobs);
  }
}
