package dev.weir.scheduling.policy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Scheduler;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/**
 * A load whose true lengths the scheduler is told, counted in iterations instead of seconds. Every
 * request fits the pool by itself.
 */
record SteppedLoad(KvCapacity memory, BatchLimits limits, List<Job> jobs) {

  /**
   * @param arrival the iteration before which it arrives
   * @param cancel the iteration before which it is cancelled, if it has arrived and is still there
   */
  record Job(int arrival, int prompt, int maxOutput, int output, int cancel) {}

  /** A load without cancellations. */
  static SteppedLoad random(Random random) {
    BatchLimits limits =
        new BatchLimits(1 + random.nextInt(10), 1 + random.nextInt(random.nextBoolean() ? 8 : 40));
    int blockSize = 1 + random.nextInt(5);
    int longest = 1 + random.nextInt(40);
    int spread = 1 + random.nextInt(200);
    List<Job> jobs = new ArrayList<>();
    for (int i = random.nextInt(60); i >= 0; i--) {
      int output = 1 + random.nextInt(longest);
      int maxOutput = output + random.nextInt(20);
      jobs.add(
          new Job(
              random.nextInt(spread),
              1 + random.nextInt(30),
              maxOutput,
              output,
              Integer.MAX_VALUE));
    }
    jobs.sort((a, b) -> Integer.compare(a.arrival, b.arrival));
    long largest =
        jobs.stream()
            .mapToLong(j -> (j.prompt + j.maxOutput + blockSize) / blockSize)
            .max()
            .getAsLong();
    return new SteppedLoad(
        new KvCapacity(largest + random.nextInt(random.nextBoolean() ? 8 : 60), blockSize, 0),
        limits,
        List.copyOf(jobs));
  }

  /** The same requests; some are cancelled, at any time. */
  SteppedLoad withCancellations(Random random) {
    return new SteppedLoad(
        memory,
        limits,
        jobs.stream()
            .map(
                j ->
                    random.nextInt(3) > 0
                        ? j
                        : new Job(
                            j.arrival,
                            j.prompt,
                            j.maxOutput,
                            j.output,
                            j.arrival + 1 + random.nextInt(60)))
            .toList());
  }

  SteppedLoad withLimits(BatchLimits other) {
    return new SteppedLoad(memory, other, jobs);
  }

  /** Runs all iterations. */
  int[] run(Scheduler scheduler, Consumer<List<Request>> planned) {
    return run(scheduler, planned, () -> false);
  }

  /**
   * Serves the load to its end, and fails if anything is evicted or nothing advances although
   * somebody is there.
   *
   * @param planned is shown the requests that are there, after each plan
   * @param abandon whether the iteration just planned does not run
   * @return the iteration of each request's admission; the largest int if it never was
   */
  int[] run(Scheduler scheduler, Consumer<List<Request>> planned, BooleanSupplier abandon) {
    IterationPlan plan = new IterationPlan(memory, limits, Preemption.RECOMPUTE);
    List<Request> alive = new ArrayList<>();
    int[] admissions = new int[jobs.size()];
    Arrays.fill(admissions, Integer.MAX_VALUE);
    int next = 0;
    for (int iteration = 0; next < jobs.size() || !alive.isEmpty(); iteration++) {
      while (next < jobs.size() && jobs.get(next).arrival <= iteration) {
        Job job = jobs.get(next);
        Request request = new Request(next++, iteration, job.prompt, job.maxOutput, job.output);
        alive.add(request);
        scheduler.arrived(request, iteration);
      }
      for (Request request : List.copyOf(alive)) {
        if (jobs.get((int) request.id()).cancel <= iteration) {
          end(request, alive, scheduler, iteration);
        }
      }
      if (alive.isEmpty()) {
        continue;
      }
      long used = alive.stream().mapToLong(r -> memory.blocksFor(r.cachedTokens())).sum();
      plan.begin(iteration, memory.blocks() - used, 0);
      scheduler.plan(plan);
      assertThat(plan.evictionCount()).isZero();
      assertThat(plan.size()).as("scheduled of %s", alive).isPositive();
      for (Request request : alive) {
        if (request.state() == RequestState.RESIDENT) {
          int id = (int) request.id();
          admissions[id] = Math.min(admissions[id], iteration);
        }
      }
      planned.accept(alive);
      if (abandon.getAsBoolean()) {
        plan.abandon();
        continue;
      }
      plan.commit();
      for (Request request : List.copyOf(alive)) {
        if (request.generatedTokens() == jobs.get((int) request.id()).output) {
          end(request, alive, scheduler, iteration + 1);
        }
      }
    }
    return admissions;
  }

  private static void end(Request request, List<Request> alive, Scheduler scheduler, double now) {
    alive.remove(request);
    request.finish();
    scheduler.departed(request, now);
  }
}
