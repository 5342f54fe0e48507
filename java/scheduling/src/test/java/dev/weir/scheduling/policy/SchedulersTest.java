package dev.weir.scheduling.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.jupiter.api.Assertions.assertTimeout;

import com.sun.management.ThreadMXBean;
import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Schedulers;
import dev.weir.scheduling.Workload;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class SchedulersTest {
  private static final KvCapacity MEMORY = new KvCapacity(1 << 20, 16, 0);
  private static final BatchLimits LIMITS = new BatchLimits(64, 512);
  private static final Workload WORKLOAD =
      new Workload(
          100,
          LengthHistogram.of(IntStream.rangeClosed(5, 15).toArray()),
          LengthHistogram.of(IntStream.rangeClosed(1, 60).toArray()));

  @Test
  void allPoliciesAreRegistered() {
    assertThat(Schedulers.all())
        .extracting(SchedulerFactory::name)
        .contains(
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
            "weir");
    assertThat(Schedulers.all()).allMatch(f -> !f.description().isBlank());
  }

  @Test
  void anUnknownNameListsTheKnown() {
    SchedulerConfig config =
        new SchedulerConfig(
            MEMORY,
            LIMITS,
            Preemption.RECOMPUTE,
            new IterationCost(0.01, 0),
            Optional.empty(),
            SchedulerOptions.none());
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Schedulers.create("lifo", config))
        .withMessageContaining("no scheduler is named 'lifo'")
        .withMessageContaining("fcfs, headroom, mcsf, nested-wait");
  }

  @ParameterizedTest
  @MethodSource("names")
  void planningAllocatesNothing(String name) {
    // 64 requests run for as long as the test lasts, a thousand wait.
    Stepper s =
        Stepper.of(
            name, MEMORY, LIMITS, Preemption.RECOMPUTE, Optional.of(WORKLOAD), required(name));
    for (int i = 0; i < 1064; i++) {
      s.arrive(8, 100_000);
    }
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long free = MEMORY.blocks() - 64 * 2048;
    iterate(s, 20_000, free);
    assertThat(s.plan.size()).isEqualTo(64);
    long before = threads.getCurrentThreadAllocatedBytes();
    iterate(s, 10_000, free);
    assertThat(threads.getCurrentThreadAllocatedBytes() - before).isLessThan(10_000);
  }

  static List<String> names() {
    return Schedulers.all().stream().map(SchedulerFactory::name).toList();
  }

  /** The options without which a scheduler cannot be made. */
  private static Map<String, String> required(String name) {
    return name.equals("capped-fcfs") ? Map.of("cap", "64") : Map.of();
  }

  private static void iterate(Stepper s, int iterations, long freeBlocks) {
    for (int i = 0; i < iterations; i++) {
      s.plan.begin(1, freeBlocks, 0);
      s.scheduler.plan(s.plan);
      s.plan.commit();
    }
  }

  @ParameterizedTest
  @MethodSource("names")
  void cancellingFromALongQueueIsCheap(String name) {
    // A scan of the queue for each of them would take minutes.
    int count = 400_000;
    Stepper s =
        Stepper.of(
            name, MEMORY, LIMITS, Preemption.RECOMPUTE, Optional.of(WORKLOAD), required(name));
    List<Request> requests = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      Request request = new Request(i, 0, 8, 100, Request.UNKNOWN);
      s.scheduler.arrived(request, 0);
      requests.add(request);
    }
    Collections.shuffle(requests, new Random(1));
    assertTimeout(
        Duration.ofSeconds(20),
        () -> {
          for (Request request : requests) {
            request.finish();
            s.scheduler.departed(request, 0);
          }
        });
    assertThat(s.gauges()).containsEntry("waiting", 0.0);
    s.plan();
    assertThat(s.plan.size()).isZero();
  }
}
