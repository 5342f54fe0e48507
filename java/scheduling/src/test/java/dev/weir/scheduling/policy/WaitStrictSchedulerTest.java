package dev.weir.scheduling.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import com.sun.management.ThreadMXBean;
import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestClass;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Workload;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * WAIT and Nested WAIT to the letter, on examples worked out by hand. Tables give the inventory
 * before each iteration, the requests at stage 0, 1, 2, ..., and after a bar how many of each stage
 * the iteration runs.
 */
class WaitStrictSchedulerTest {
  private static final BatchLimits LIMITS = new BatchLimits(100, 1000);
  private static final KvCapacity MEMORY = new KvCapacity(1000, 4, 0);

  /** Requests, all of which end with the output that they declare. */
  private static final class Example {
    final Stepper stepper;
    final List<Request> requests = new ArrayList<>();

    Example(String name, Optional<Workload> workload, Map<String, String> options) {
      this(name, MEMORY, LIMITS, Preemption.RECOMPUTE, workload, options);
    }

    Example(
        String name,
        KvCapacity memory,
        BatchLimits limits,
        Preemption preemption,
        Optional<Workload> workload,
        Map<String, String> options) {
      Map<String, String> all = new TreeMap<>(options);
      all.put("mode", "strict");
      stepper = Stepper.of(name, memory, limits, preemption, workload, all);
    }

    void arrive(int count, int prompt, int output) {
      for (int i = 0; i < count; i++) {
        requests.add(stepper.arrive(prompt, output));
      }
    }

    /** Requests with this output at each of the stages, those in this plan or all. */
    String stages(int output, boolean planned) {
      return IntStream.range(0, output)
          .mapToLong(
              s ->
                  requests.stream()
                      .filter(r -> r.maxOutputTokens() == output && r.generatedTokens() == s)
                      .filter(r -> !planned || r.scheduledTokens() > 0)
                      .count())
          .mapToObj(Long::toString)
          .reduce((a, b) -> a + " " + b)
          .orElseThrow();
    }

    /** Plans, compares with a row of a table for requests with this output, and runs. */
    void row(int output, String expected) {
      String inventory = stages(output, false);
      stepper.plan();
      assertThat(inventory + " | " + stages(output, true)).isEqualTo(expected);
      run();
    }

    void run() {
      stepper.plan.commit();
      stepper.sleep(0.01);
      for (Request request : List.copyOf(requests)) {
        if (request.generatedTokens() == request.maxOutputTokens()) {
          requests.remove(request);
          stepper.end(request);
        }
      }
    }
  }

  private static Optional<Workload> classes(RequestClass... classes) {
    return Optional.of(Workload.of(List.of(classes)));
  }

  @Test
  void oneClassHoldsItsThresholdAtEveryStage() {
    Example e =
        new Example("wait", classes(new RequestClass(100, 10, 4)), Map.of("thresholds", "8"));
    String[] warmingUp = {
      "8 0 0 0 | 8 0 0 0", "8 8 0 0 | 8 8 0 0", "8 8 8 0 | 8 8 8 0", "8 8 8 8 | 8 8 8 8"
    };
    for (String row : warmingUp) {
      e.arrive(8, 10, 4);
      e.row(4, row);
    }
    for (int i = 0; i < 50; i++) {
      e.arrive(8, 10, 4);
      e.row(4, "8 8 8 8 | 8 8 8 8");
    }
    // Too few come: all wait, with their blocks.
    e.arrive(5, 10, 4);
    e.row(4, "5 8 8 8 | 0 0 0 0");
    assertThat(e.stepper.plan.heldCount()).isEqualTo(2);
    assertThat(e.stepper.plan.held(0).generatedTokens()).isZero();
    assertThat(e.stepper.plan.holdReason(0)).isEqualTo(HoldReason.THRESHOLD);
    assertThat(e.stepper.plan.held(1).state()).isEqualTo(RequestState.RESIDENT);
    assertThat(e.requests).filteredOn(r -> r.state() == RequestState.RESIDENT).hasSize(24);
    assertThat(e.stepper.plan.wakeTime()).isInfinite();
    e.row(4, "5 8 8 8 | 0 0 0 0");
    // More come than the threshold: the rest waits.
    e.arrive(10, 10, 4);
    e.row(4, "15 8 8 8 | 8 8 8 8");
    assertThat(e.stepper.plan.holdReason(0)).isEqualTo(HoldReason.SEGMENT_FULL);
    e.row(4, "7 8 8 8 | 0 0 0 0");
    e.arrive(1, 10, 4);
    e.row(4, "8 8 8 8 | 8 8 8 8");
    assertThat(e.stepper.gauges())
        .containsEntry("waiting", 0.0)
        .containsEntry("running", 24.0)
        .containsEntry("class_occupancy{class=\"10/4\"}", 24.0)
        .containsEntry("class_waiting{class=\"10/4\"}", 0.0)
        .containsEntry("class_threshold{class=\"10/4\"}", 8.0);
  }

  @Test
  void classesFireEachByItself() {
    Example e =
        new Example(
            "wait",
            classes(new RequestClass(30, 10, 2), new RequestClass(20, 20, 3)),
            Map.of("thresholds", "3,2"));
    // Arrivals of 10/2 and of 20/3, and a row for each.
    Object[][] table = {
      {3, 1, "3 0 | 3 0", "1 0 0 | 0 0 0"},
      {3, 0, "3 3 | 3 3", "1 0 0 | 0 0 0"},
      {2, 1, "2 3 | 0 0", "2 0 0 | 2 0 0"},
      {0, 2, "2 3 | 0 0", "2 2 0 | 2 2 0"},
      {1, 1, "3 3 | 3 3", "1 2 2 | 0 0 0"},
      {4, 3, "4 3 | 3 3", "4 2 2 | 2 2 2"},
      {0, 0, "1 3 | 0 0", "2 2 2 | 2 2 2"},
      {0, 0, "1 3 | 0 0", "0 2 2 | 0 0 0"}
    };
    for (Object[] row : table) {
      e.arrive((int) row[0], 10, 2);
      e.arrive((int) row[1], 20, 3);
      String first = e.stages(2, false);
      String second = e.stages(3, false);
      e.stepper.plan();
      assertThat(first + " | " + e.stages(2, true)).isEqualTo(row[2]);
      assertThat(second + " | " + e.stages(3, true)).isEqualTo(row[3]);
      e.run();
    }
  }

  /**
   * Half of the requests end after 4 tokens, half after 8, so 4 survivors an iteration come to the
   * entrance of the second segment, which takes 5.
   */
  @Test
  void theSecondSegmentWaitsUntilEnoughSurvivorsOfTheFirstHaveGathered() {
    Example e =
        new Example(
            "nested-wait", Optional.empty(), Map.of("boundaries", "4,8", "thresholds", "8,5"));
    // Requests of 8 tokens; of those of 4 there are as many at each of the stages 0 to 3.
    String[] table = {
      "4 0 0 0 0 0 0 0 | 4 0 0 0 0 0 0 0",
      "4 4 0 0 0 0 0 0 | 4 4 0 0 0 0 0 0",
      "4 4 4 0 0 0 0 0 | 4 4 4 0 0 0 0 0",
      "4 4 4 4 0 0 0 0 | 4 4 4 4 0 0 0 0",
      "4 4 4 4 4 0 0 0 | 4 4 4 4 0 0 0 0",
      "4 4 4 4 8 0 0 0 | 4 4 4 4 5 0 0 0",
      "4 4 4 4 7 5 0 0 | 4 4 4 4 5 5 0 0",
      "4 4 4 4 6 5 5 0 | 4 4 4 4 5 5 5 0",
      "4 4 4 4 5 5 5 5 | 4 4 4 4 5 5 5 5",
      "4 4 4 4 4 5 5 5 | 4 4 4 4 0 0 0 0",
      "4 4 4 4 8 5 5 5 | 4 4 4 4 5 5 5 5",
      "4 4 4 4 7 5 5 5 | 4 4 4 4 5 5 5 5",
      "4 4 4 4 6 5 5 5 | 4 4 4 4 5 5 5 5",
      "4 4 4 4 5 5 5 5 | 4 4 4 4 5 5 5 5",
      "4 4 4 4 4 5 5 5 | 4 4 4 4 0 0 0 0"
    };
    for (int i = 0; i < table.length; i++) {
      for (int j = 0; j < 4; j++) {
        e.arrive(1, 10, 4);
        e.arrive(1, 10, 8);
      }
      e.row(8, table[i]);
    }
    // With 7 at the entrance of segment 1 nothing runs, although segment 2 has its 5.
    e.arrive(7, 10, 8);
    e.row(8, "7 4 4 4 8 5 5 5 | 0 0 0 0 0 0 0 0");
    // The first that waits, and of each segment the first.
    assertThat(e.stepper.plan.heldCount()).isEqualTo(3);
    e.arrive(1, 10, 8);
    e.row(8, "8 4 4 4 8 5 5 5 | 8 4 4 4 5 5 5 5");
    assertThat(e.stepper.gauges())
        .containsEntry("segment_waiting{segment=\"1\"}", 0.0)
        .containsEntry("segment_waiting{segment=\"2\"}", 7.0)
        .containsEntry("segment_occupancy{segment=\"2\"}", 15.0)
        .containsEntry("segment_threshold{segment=\"2\"}", 5.0);
  }

  @Test
  void thresholdsFollowFromTheWorkload() {
    Workload workload = new Workload(10, LengthHistogram.of(6, 10), LengthHistogram.of(1, 2, 3, 4));
    Example e =
        new Example(
            "nested-wait", Optional.of(workload), Map.of("boundaries", "2", "slack", "1.5"));
    Map<String, Double> gauges = e.stepper.gauges();
    double first = gauges.get("segment_threshold{segment=\"1\"}");
    assertThat(first).isGreaterThan(1).isEqualTo(Math.rint(first));
    assertThat(gauges).containsEntry("segment_threshold{segment=\"2\"}", Math.ceil(0.75 * first));
    e.arrive((int) first - 1, 8, 4);
    e.row(4, (int) first - 1 + " 0 0 0 | 0 0 0 0");
    e.arrive(1, 8, 4);
    e.row(4, (int) first + " 0 0 0 | " + (int) first + " 0 0 0");
  }

  @Test
  void aSegmentThatWaitedForTheLongestTimeFiresOnce() {
    Example e =
        new Example(
            "nested-wait",
            Optional.empty(),
            Map.of("boundaries", "1,3", "thresholds", "2,2", "maxHold", "1"));
    e.arrive(3, 10, 3);
    e.row(3, "3 0 0 | 2 0 0");
    e.row(3, "1 2 0 | 0 0 0");
    assertThat(e.stepper.plan.wakeTime()).isEqualTo(1);
    e.stepper.sleep(0.97);
    e.row(3, "1 2 0 | 0 0 0");
    e.stepper.sleep(0.01);
    e.row(3, "1 2 0 | 1 2 0");
    e.row(3, "0 1 2 | 0 0 0");
    e.stepper.sleep(1);
    e.row(3, "0 1 2 | 0 1 2");
    e.row(3, "0 0 1 | 0 0 0");
    e.stepper.sleep(1);
    e.row(3, "0 0 1 | 0 0 1");
    assertThat(e.requests).isEmpty();
  }

  @Test
  void anEmptySegmentDoesNotWait() {
    Example e =
        new Example(
            "wait", classes(new RequestClass(1, 10, 1)), Map.of("thresholds", "2", "maxHold", "1"));
    e.stepper.sleep(100);
    e.arrive(1, 10, 1);
    e.row(1, "1 | 0");
    assertThat(e.stepper.plan.wakeTime()).isEqualTo(101);
    e.arrive(1, 10, 1);
    e.row(1, "2 | 2");
    e.row(1, "0 | 0");
    assertThat(e.stepper.plan.wakeTime()).isInfinite();
    e.stepper.sleep(50);
    e.arrive(1, 10, 1);
    e.row(1, "1 | 0");
    e.stepper.sleep(1);
    e.row(1, "1 | 1");
  }

  @Test
  void everybodyRunsWhenNobodyHasArrivedForLong() {
    Example e =
        new Example(
            "wait", classes(new RequestClass(1, 10, 3)), Map.of("thresholds", "4", "drain", "0.5"));
    e.arrive(5, 10, 3);
    e.row(3, "5 0 0 | 4 0 0");
    e.row(3, "1 4 0 | 0 0 0");
    assertThat(e.stepper.plan.wakeTime()).isEqualTo(0.5);
    e.stepper.sleep(0.48);
    e.row(3, "1 4 0 | 1 4 0");
    e.row(3, "0 1 4 | 0 1 4");
    // Somebody comes: the thresholds are in force again.
    e.arrive(1, 10, 3);
    e.row(3, "1 0 1 | 0 0 0");
    e.stepper.sleep(0.5);
    e.row(3, "1 0 1 | 1 0 1");
    e.row(3, "0 1 0 | 0 1 0");
    e.row(3, "0 0 1 | 0 0 1");
    assertThat(e.requests).isEmpty();
  }

  @Test
  void aPromptBeyondTheTokenBudgetStaysAtStageZero() {
    Example e =
        new Example(
            "wait",
            MEMORY,
            new BatchLimits(100, 12),
            Preemption.RECOMPUTE,
            classes(new RequestClass(1, 10, 2)),
            Map.of("thresholds", "2"));
    e.arrive(2, 10, 2);
    e.row(2, "2 0 | 2 0");
    assertThat(e.requests.get(1).cachedTokens()).isEqualTo(2);
    assertThat(e.stepper.gauges()).containsEntry("class_waiting{class=\"10/2\"}", 1.0);
    e.row(2, "1 1 | 0 0");
    e.arrive(1, 10, 2);
    e.row(2, "2 1 | 2 1");
    assertThat(e.requests.get(0).generatedTokens()).isEqualTo(1);
    assertThat(e.requests.get(1).cachedTokens()).isEqualTo(3);
  }

  /** Prompts are twice as long as declared. */
  @Test
  void theYoungestIsEvictedWhenMemoryIsShort() {
    Example e =
        new Example(
            "wait",
            new KvCapacity(13, 4, 0),
            LIMITS,
            Preemption.RECOMPUTE,
            classes(new RequestClass(1, 8, 4)),
            Map.of("thresholds", "1"));
    e.arrive(1, 16, 4);
    e.row(4, "1 0 0 0 | 1 0 0 0");
    e.arrive(1, 16, 4);
    e.row(4, "1 1 0 0 | 1 1 0 0");
    e.arrive(1, 16, 4);
    e.row(4, "1 1 1 0 | 0 1 1 0");
    assertThat(e.stepper.plan.holdReason(0)).isEqualTo(HoldReason.MEMORY);
    e.row(4, "1 0 1 1 | 0 0 1 1");
    e.arrive(1, 16, 4);
    e.row(4, "2 0 0 1 | 1 0 0 1");
    assertThat(e.requests).hasSize(2).allMatch(r -> r.evictions() == 0);
  }

  @Test
  void theOldestAdvancesOutOfTurnWhenThoseWhoWaitHoldAllMemory() {
    Example e =
        new Example(
            "nested-wait",
            new KvCapacity(10, 4, 0),
            LIMITS,
            Preemption.RECOMPUTE,
            Optional.empty(),
            Map.of("boundaries", "1,4", "thresholds", "1,3"));
    e.arrive(2, 16, 4);
    // 5 blocks each from the second token on; the second segment wants three.
    e.row(4, "2 0 0 0 | 1 0 0 0");
    e.row(4, "1 1 0 0 | 1 0 0 0");
    e.arrive(1, 16, 4);
    e.row(4, "1 2 0 0 | 0 1 0 0");
    assertThat(e.requests.get(0).generatedTokens()).isEqualTo(2);
    e.row(4, "1 1 1 0 | 0 0 1 0");
    e.row(4, "1 1 0 1 | 0 0 0 1");
    e.row(4, "1 1 0 0 | 1 0 0 0");
  }

  @Test
  void aSwappedRequestKeepsItsStage() {
    Example e =
        new Example(
            "wait",
            new KvCapacity(8, 4, 10),
            LIMITS,
            Preemption.SWAP,
            classes(new RequestClass(1, 1, 5)),
            Map.of("thresholds", "1", "maxHold", "0"));
    e.arrive(2, 15, 8);
    e.row(8, "2 0 0 0 0 0 0 0 | 1 0 0 0 0 0 0 0");
    e.row(8, "1 1 0 0 0 0 0 0 | 1 1 0 0 0 0 0 0");
    // The first needs a fifth block, of eight.
    e.row(8, "0 1 1 0 0 0 0 0 | 0 0 1 0 0 0 0 0");
    Request second = e.requests.get(1);
    assertThat(second.state()).isEqualTo(RequestState.SWAPPED);
    assertThat(second.generatedTokens()).isEqualTo(1);
    assertThat(e.stepper.gauges()).containsEntry("swapped", 1.0).containsEntry("running", 1.0);
    for (int stage = 3; stage < 8; stage++) {
      e.stepper.plan();
      assertThat(e.stepper.scheduled()).doesNotContain(second);
      e.run();
    }
    e.row(8, "0 1 0 0 0 0 0 0 | 0 1 0 0 0 0 0 0");
    assertThat(second.state()).isEqualTo(RequestState.RESIDENT);
    assertThat(second.recomputedTokens()).isZero();
    assertThat(e.stepper.plan.resumedCount()).isEqualTo(1);
  }

  @Test
  void whoLeavesIsForgotten() {
    Example e = new Example("wait", classes(new RequestClass(1, 10, 4)), Map.of("thresholds", "2"));
    e.arrive(3, 10, 4);
    e.row(4, "3 0 0 0 | 2 0 0 0");
    e.stepper.end(e.requests.remove(2));
    e.stepper.end(e.requests.remove(0));
    assertThat(e.stepper.gauges()).containsEntry("waiting", 0.0).containsEntry("running", 1.0);
    e.arrive(2, 10, 4);
    e.row(4, "2 1 0 0 | 2 1 0 0");
  }

  @Test
  void planningAllocatesNothing() {
    Example e =
        new Example(
            "nested-wait",
            new KvCapacity(1 << 20, 16, 0),
            LIMITS,
            Preemption.RECOMPUTE,
            Optional.empty(),
            Map.of("boundaries", "10,100", "thresholds", "5,5"));
    e.arrive(1000, 8, 100_000);
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    iterate(e.stepper, 20_000);
    assertThat(e.stepper.gauges()).containsEntry("running", 100.0);
    assertThat(e.stepper.plan.size()).isPositive();
    long before = threads.getCurrentThreadAllocatedBytes();
    iterate(e.stepper, 10_000);
    assertThat(threads.getCurrentThreadAllocatedBytes() - before).isLessThan(10_000);
  }

  private static void iterate(Stepper s, int iterations) {
    for (int i = 0; i < iterations; i++) {
      s.plan.begin(1, 500_000, 0);
      s.scheduler.plan(s.plan);
      s.plan.commit();
    }
  }

  @Test
  void optionsAreChecked() {
    Optional<Workload> workload = classes(new RequestClass(30, 10, 4), new RequestClass(10, 20, 8));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Example("wait", Optional.empty(), Map.of()))
        .withMessageContaining("mode=strict needs a workload");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Example("wait", workload, Map.of("thresholds", "3")))
        .withMessageContaining("one for each of 2 classes");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Example("wait", workload, Map.of("thresholds", "20,20")))
        .withMessageContaining("needs 5520 KV tokens")
        .withMessageContaining("the pool has 4000");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Example("wait", workload, Map.of("thresholds", "10,10")))
        .withMessageContaining("runs 120 requests at once")
        .withMessageContaining("at most 100");
    assertThatIllegalArgumentException()
        .isThrownBy(
            () -> new Example("wait", workload, Map.of("thresholds", "1,1", "cycle", "0.1")))
        .withMessageContaining("cycle and thresholds");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Example("wait", workload, Map.of("cycle", "9")))
        .withMessageContaining("cycle is 9.0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Example("wait", workload, Map.of("pace", "1")))
        .withMessageContaining("has no option [pace]");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Example("nested-wait", Optional.empty(), Map.of("boundaries", "4,8")))
        .withMessageContaining("boundaries=[4, 8] and thresholds=[]");
    Optional<Workload> halves =
        Optional.of(new Workload(10, LengthHistogram.of(10), LengthHistogram.of(4, 8)));
    assertThatIllegalArgumentException()
        .isThrownBy(
            () ->
                new Example("nested-wait", halves, Map.of("boundaries", "4", "thresholds", "8,4")))
        .withMessageContaining("n_2 must be greater than q n_1 = 4");
    assertThatIllegalArgumentException()
        .isThrownBy(
            () -> new Example("nested-wait", halves, Map.of("boundaries", "4", "thresholds", "8")))
        .withMessageContaining("one value for each of the 2 segments that end at [4, 8]");
    assertThatIllegalArgumentException()
        .isThrownBy(
            () ->
                new Example(
                    "nested-wait", halves, Map.of("boundaries", "4", "thresholds", "80,50")))
        .withMessageContaining("need 7300 KV tokens, the pool has 4000");
    assertThatIllegalArgumentException()
        .isThrownBy(
            () ->
                new Example(
                    "nested-wait",
                    new KvCapacity(20, 4, 0),
                    LIMITS,
                    Preemption.RECOMPUTE,
                    halves,
                    Map.of()))
        .withMessageContaining("one request per stage, as mode=strict does")
        .withMessageContaining("the pool has 80");
  }
}
