package dev.weir.benchmarks;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Schedulers;
import dev.weir.scheduling.Workload;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The decision for one iteration with a full batch of decoding requests of every age, and a queue
 * behind it: its mean and its tail. The cost must not grow with the queue. The state is made once
 * for a run, not for each of its iterations, so that {@code -prof gc} counts decisions alone.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(1)
public class SchedulerBenchmark {
  private static final int RUNNING = 256;
  private static final int PROMPT = 64;
  private static final int LONGEST_OUTPUT = 512;
  private static final KvCapacity MEMORY = new KvCapacity(20_000, 16, 0);

  @Param({
    "capped-fcfs",
    "fcfs",
    "headroom",
    "mcsf",
    "nested-wait",
    "orca",
    "reserve",
    "sarathi",
    "static",
    "vllm-v0",
    "wait",
    "weir"
  })
  String policy;

  @Param({"10", "1000", "100000"})
  int waiting;

  private Scheduler scheduler;
  private IterationPlan plan;
  private double now;
  private int free;
  private long arrivals;

  @Setup
  public void fill() {
    BatchLimits limits = new BatchLimits(RUNNING, 2048);
    int[] outputs = new int[LONGEST_OUTPUT];
    for (int i = 0; i < outputs.length; i++) {
      outputs[i] = i + 1;
    }
    Workload workload = new Workload(50, LengthHistogram.of(PROMPT), LengthHistogram.of(outputs));
    scheduler =
        Schedulers.create(
            policy,
            new SchedulerConfig(
                MEMORY,
                limits,
                Preemption.RECOMPUTE,
                new IterationCost(0.01, 1e-7),
                Optional.of(workload),
                policy.equals("capped-fcfs")
                    ? SchedulerOptions.of(Map.of("cap", Integer.toString(RUNNING)))
                    : SchedulerOptions.none()));
    plan = new IterationPlan(MEMORY, limits, Preemption.RECOMPUTE);
    now = 0;
    arrivals = 0;
    SplittableRandom random = new SplittableRandom(1);
    Map<Request, Integer> lengths = new HashMap<>();
    free = Math.toIntExact(MEMORY.blocks());
    // Long enough for residents of every age; the queue stays as long as it is.
    for (int i = 0; i < 1000; i++) {
      while (lengths.size() < RUNNING + waiting) {
        Request request = new Request(arrivals++, now, PROMPT, LONGEST_OUTPUT, Request.UNKNOWN);
        lengths.put(request, 1 + random.nextInt(LONGEST_OUTPUT));
        scheduler.arrived(request, now);
      }
      decide();
      plan.commit();
      free = Math.toIntExact(plan.freeBlocks());
      for (int k = 0; k < plan.size(); k++) {
        Request request = plan.request(k);
        if (request.generatedTokens() >= lengths.get(request)) {
          lengths.remove(request);
          free += Math.toIntExact(MEMORY.blocksFor(request.cachedTokens()));
          request.finish();
          scheduler.departed(request, now);
        }
      }
    }
    while (plan.size() < RUNNING) {
      decide();
      plan.commit();
      free = Math.toIntExact(plan.freeBlocks());
    }
  }

  private void decide() {
    now += 0.01;
    plan.begin(now, free, 0);
    scheduler.plan(plan);
  }

  /** The plan is abandoned, so every call decides about the same state. */
  @Benchmark
  public int plan() {
    decide();
    plan.abandon();
    return plan.size();
  }
}
