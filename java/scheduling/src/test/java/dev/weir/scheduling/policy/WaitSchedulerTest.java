package dev.weir.scheduling.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import com.sun.management.ThreadMXBean;
import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestClass;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Workload;
import dev.weir.scheduling.fluid.WaitThresholds;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class WaitSchedulerTest {
  private static final BatchLimits LIMITS = new BatchLimits(64, 512);
  private static final List<RequestClass> CLASSES =
      List.of(new RequestClass(30, 10, 4), new RequestClass(10, 20, 8));
  private static final Optional<Workload> WORKLOAD = Optional.of(Workload.of(CLASSES));

  private static Stepper stepper(
      long blocks, Optional<Workload> workload, Map<String, String> options) {
    return Stepper.of(
        "wait", new KvCapacity(blocks, 4, 0), LIMITS, Preemption.RECOMPUTE, workload, options);
  }

  private static List<Request> arrive(Stepper s, int count, int prompt, int output) {
    List<Request> requests = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      requests.add(s.arrive(prompt, output));
    }
    return requests;
  }

  private static void endThoseDone(Stepper s, List<Request> requests) {
    for (Request request : List.copyOf(requests)) {
      if (request.generatedTokens() == request.maxOutputTokens()) {
        requests.remove(request);
        s.end(request);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    // Exactly, or the nearest that covers.
    "10, 4, 10/4",
    "20, 8, 20/8",
    "10, 5, 10/8",
    "3, 1, 10/4",
    "11, 4, 30/4",
    "20, 5, 20/8",
    "25, 8, 100/9",
    // No prompt covers: the output decides.
    "200, 3, 10/4",
    "200, 9, 100/9",
    // No output covers.
    "5, 50, 100/9"
  })
  void aRequestGoesToTheNearestClassThatCoversIt(int prompt, int output, String expected) {
    List<RequestClass> classes = new ArrayList<>(CLASSES);
    classes.add(new RequestClass(1, 10, 8));
    classes.add(new RequestClass(1, 30, 4));
    classes.add(new RequestClass(1, 100, 9));
    WaitThresholds thresholds =
        WaitThresholds.largest(classes, new IterationCost(0.01, 1e-5), new KvCapacity(1000, 16, 0));
    WaitClassifier classifier = new WaitClassifier(thresholds);
    Request declared = new Request(0, 0, prompt, output, Request.UNKNOWN);
    assertThat(WaitFactory.label(thresholds, classifier.applyAsInt(declared))).isEqualTo(expected);
    Request known = new Request(0, 0, prompt, 1000, output);
    assertThat(WaitFactory.label(thresholds, classifier.applyAsInt(known))).isEqualTo(expected);
  }

  @Test
  void nobodyWaitsWhileMemoryIsNotScarce() {
    Stepper s = stepper(1000, WORKLOAD, Map.of("fill", "0", "pace", "0.01"));
    List<Request> requests = arrive(s, 30, 10, 4);
    requests.addAll(arrive(s, 10, 20, 8));
    for (int i = 0; i < 3; i++) {
      s.plan();
      assertThat(s.scheduled()).containsExactlyInAnyOrderElementsOf(requests);
      assertThat(s.plan.heldCount()).isZero();
      s.plan.commit();
    }
  }

  /** Two residents of 12 blocks of 4 at their ends; a third fits only after the first has ended. */
  @Test
  void memoryIsLookedUpAtEachEndToCome() {
    Stepper s = stepper(20, Optional.empty(), Map.of());
    Request first = s.arrive(8, 9);
    s.run(4);
    // 4 blocks at its end, in 5 iterations; it holds 3 (11 tokens).
    assertThat(first.cachedTokens()).isEqualTo(11);
    Request second = s.arrive(8, 41);
    s.plan();
    // 12 blocks at its end.
    assertThat(s.scheduled()).containsExactly(first, second);
    s.plan.commit();
    // While the first is there (4 iterations more, 4 blocks) the second comes to 3 blocks; the
    // third, of 8 blocks at its end, in 4 + 20 iterations, has to fit with the second only: 8
    // tokens and 25 more are 9 blocks, and 9 + 8 <= 20, although 4 + 12 + 8 > 20.
    Request third = s.arrive(8, 24);
    s.plan();
    assertThat(s.scheduled()).containsExactly(first, second, third);
    s.plan.commit();
    // At the end of the third, in 23 iterations, 8 + 9 are taken: 3 are left for one that is still
    // there; 8 + 24 - 1 tokens are 8 blocks.
    Request fourth = s.arrive(8, 24);
    s.plan();
    assertThat(s.plan.held(0)).isSameAs(fourth);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.MEMORY_BUFFER);
    s.plan.commit();
    // Nobody passes it, although a short one would fit.
    Request shorty = s.arrive(4, 1);
    s.plan();
    assertThat(s.scheduled()).doesNotContain(fourth, shorty);
    s.plan.commit();
  }

  @Test
  void nobodyIsEvictedIfLengthsAreTrueAndTheBudgetSuffices() {
    Random random = new Random(20261120);
    Stepper s =
        Stepper.of(
            "wait",
            new KvCapacity(60, 4, 0),
            new BatchLimits(64, 5000),
            Preemption.RECOMPUTE,
            WORKLOAD,
            Map.of("pace", "100", "fill", "10"));
    List<Request> requests = new ArrayList<>();
    int most = 0;
    for (int i = 0; i < 3000; i++) {
      if (requests.size() < 80) {
        requests.add(s.arrive(1 + random.nextInt(30), 1 + random.nextInt(60)));
      }
      s.run(1);
      assertThat(s.plan.evictionCount()).isZero();
      most = Math.max(most, (int) (60 - s.plan.freeBlocks()));
      endThoseDone(s, requests);
    }
    assertThat(most).as("the pool is put to use").isGreaterThan(57);
  }

  @Test
  void aClassAtItsCapWaitsAndTheOtherDoesNot() {
    // 480 tokens: T = 480 / 3960, n = 3.6 and 1.2, caps 18.2 and 10.9.
    Stepper s = stepper(120, WORKLOAD, Map.of("fill", "0", "pace", "100"));
    assertThat(s.gauges().get("class_capacity{class=\"10/4\"}")).isBetween(18.1, 18.2);
    arrive(s, 24, 10, 4);
    s.run(3);
    List<Request> crowd = arrive(s, 10, 10, 4);
    List<Request> others = arrive(s, 2, 10, 7);
    s.plan();
    // With six more, of 4 blocks at their ends, the pool may come to be full: memory is scarce.
    assertThat(s.scheduled())
        .containsAll(crowd.subList(0, 6))
        .containsAll(others)
        .doesNotContain(crowd.get(6));
    assertThat(s.plan.heldCount()).isEqualTo(1);
    assertThat(s.plan.held(0)).isSameAs(crowd.get(6));
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.SEGMENT_FULL);
    assertThat(s.gauges())
        .containsEntry("class_occupancy{class=\"10/4\"}", 30.0)
        .containsEntry("class_occupancy{class=\"20/8\"}", 2.0)
        .containsEntry("class_waiting{class=\"10/4\"}", 4.0);
  }

  @Test
  void aFewWaitForOthersUntilTheyHaveWaitedTooLong() {
    Stepper s = stepper(120, WORKLOAD, Map.of("fill", "0", "pace", "100"));
    // T = 480 / 3960, n = 30 T.
    assertThat(s.gauges().get("class_threshold{class=\"10/4\"}")).isBetween(3.6, 3.7);
    // 10 blocks each at their ends: memory is scarce, but not yet used.
    arrive(s, 12, 10, 31);
    s.run(1);
    Request alone = s.arrive(10, 4);
    s.plan();
    assertThat(s.plan.held(0)).isSameAs(alone);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.THRESHOLD);
    s.plan.commit();
    List<Request> company = arrive(s, 3, 10, 4);
    s.plan();
    assertThat(s.scheduled()).contains(alone).containsAll(company);
    s.plan.commit();
    Request next = s.arrive(10, 4);
    s.run(1);
    assertThat(next.generatedTokens()).isZero();
    s.sleep(1);
    s.run(1);
    assertThat(next.generatedTokens()).isEqualTo(1);
  }

  @Test
  void aCrowdIsLetInAtAPace() {
    Stepper s = stepper(120, WORKLOAD, Map.of());
    List<Request> requests = arrive(s, 60, 20, 8);
    s.plan();
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.PACING);
    int atOnce = s.plan.size();
    assertThat(atOnce).isBetween(17, 20);
    s.plan.commit();
    for (int i = 0; i < 20; i++) {
      s.run(1);
      endThoseDone(s, requests);
    }
    assertThat(requests.size()).isLessThan(60 - atOnce);
  }

  @ParameterizedTest
  @EnumSource
  void theYoungestMakesRoomForThoseLongerThanTold(Preemption preemption) {
    Stepper s =
        Stepper.of(
            "wait",
            new KvCapacity(8, 4, 10),
            new BatchLimits(8, 64),
            preemption,
            Optional.empty(),
            Map.of());
    Request first = new Request(100, 0, 15, 10, 2);
    Request second = new Request(101, 0, 15, 10, 2);
    Request third = new Request(102, 0, 1, 1, 1);
    List<Request> requests = List.of(first, second, third);
    s.scheduler.arrived(first, 0);
    s.scheduler.arrived(second, 0);
    run(s, requests);
    run(s, requests);
    assertThat(second.generatedTokens()).isEqualTo(2);
    // The first takes a fifth block, of eight.
    run(s, requests);
    assertThat(first.generatedTokens()).isEqualTo(3);
    assertThat(second.state())
        .isEqualTo(preemption == Preemption.SWAP ? RequestState.SWAPPED : RequestState.WAITING);
    // It comes back before one that came later enters, although that one would fit.
    s.scheduler.arrived(third, 0);
    run(s, requests);
    assertThat(third.state()).isEqualTo(RequestState.WAITING);
    assertThat(s.plan.held(0)).isSameAs(second);
    first.finish();
    s.scheduler.departed(first, 0);
    run(s, requests);
    assertThat(second.state()).isEqualTo(RequestState.RESIDENT);
    assertThat(second.generatedTokens()).isEqualTo(3);
    assertThat(second.recomputedTokens()).isEqualTo(preemption == Preemption.SWAP ? 0 : 16);
    assertThat(third.state()).isEqualTo(RequestState.RESIDENT);
  }

  private static void run(Stepper s, List<Request> requests) {
    KvCapacity memory = s.plan.memory();
    long used = 0;
    long swapped = 0;
    for (Request request : requests) {
      long blocks = memory.blocksFor(request.cachedTokens());
      used += request.state() == RequestState.RESIDENT ? blocks : 0;
      swapped += request.state() == RequestState.SWAPPED ? blocks : 0;
    }
    s.plan.begin(0, memory.blocks() - used, memory.swapBlocks() - swapped);
    s.scheduler.plan(s.plan);
    s.plan.commit();
  }

  @Test
  void planningAllocatesNothingWhileMemoryIsScarce() {
    // 6,252 blocks at the end, of 10,000: the second waits until the first has ended.
    Stepper s =
        Stepper.of(
            "wait",
            new KvCapacity(10_000, 16, 0),
            LIMITS,
            Preemption.RECOMPUTE,
            WORKLOAD,
            Map.of());
    arrive(s, 200, 8, 100_000);
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    iterate(s, 20_000);
    assertThat(s.gauges()).containsEntry("running", 1.0);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.MEMORY_BUFFER);
    long before = threads.getCurrentThreadAllocatedBytes();
    iterate(s, 10_000);
    assertThat(threads.getCurrentThreadAllocatedBytes() - before).isLessThan(10_000);
  }

  private static void iterate(Stepper s, int iterations) {
    for (int i = 0; i < iterations; i++) {
      s.plan.begin(1, 8000, 0);
      s.scheduler.plan(s.plan);
      s.plan.commit();
    }
  }

  @Test
  void histogramsMakeForClasses() {
    Workload workload = new Workload(8, LengthHistogram.of(10, 13), LengthHistogram.of(4, 4, 4, 9));
    assertThat(stepper(100, Optional.of(workload), Map.of()).gauges())
        .containsKeys("class_threshold{class=\"12/4\"}", "class_threshold{class=\"12/9\"}")
        .containsEntry("stable", 1.0);
    assertThat(stepper(100, Optional.of(workload), Map.of("classes", "1")).gauges())
        .containsKey("class_threshold{class=\"12/9\"}")
        .doesNotContainKey("class_threshold{class=\"12/4\"}");
    assertThat(stepper(100, Optional.empty(), Map.of()).gauges()).doesNotContainKey("stable");
  }

  @Test
  void optionsAreChecked() {
    assertThat(
            stepper(1000, WORKLOAD, Map.of("cycle", "0.5"))
                .gauges()
                .get("class_threshold{class=\"10/4\"}"))
        .isEqualTo(15);
    assertThat(
            stepper(1000, WORKLOAD, Map.of("thresholds", "7,3"))
                .gauges()
                .get("class_threshold{class=\"20/8\"}"))
        .isEqualTo(3);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> stepper(1000, WORKLOAD, Map.of("cycle", "5")))
        .withMessageContaining("cycle is 5.0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> stepper(1000, WORKLOAD, Map.of("mode", "lazy")))
        .withMessageContaining("mode=lazy is not one of [workConserving, strict]");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> stepper(1000, WORKLOAD, Map.of("drain", "1")))
        .withMessageContaining("has no option [drain]");
  }
}
