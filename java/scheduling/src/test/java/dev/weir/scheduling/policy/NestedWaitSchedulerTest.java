package dev.weir.scheduling.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Workload;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class NestedWaitSchedulerTest {
  private static final BatchLimits LIMITS = new BatchLimits(64, 512);
  private static final Workload WORKLOAD =
      new Workload(
          100,
          LengthHistogram.of(IntStream.rangeClosed(5, 15).toArray()),
          LengthHistogram.of(IntStream.rangeClosed(1, 60).toArray()));

  private static Stepper stepper(
      long blocks, Optional<Workload> workload, Map<String, String> options) {
    return Stepper.of(
        "nested-wait",
        new KvCapacity(blocks, 4, 0),
        LIMITS,
        Preemption.RECOMPUTE,
        workload,
        options);
  }

  @Test
  void withoutAWorkloadEveryResidentFitsAtItsLongest() {
    Stepper s = stepper(30, Optional.empty(), Map.of());
    // 10 + 31 - 1 tokens are 10 blocks.
    List<Request> requests = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      requests.add(s.arrive(10, 31));
    }
    s.plan();
    assertThat(s.scheduled()).containsExactlyElementsOf(requests.subList(0, 3));
    assertThat(s.plan.held(0)).isSameAs(requests.get(3));
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.MEMORY_BUFFER);
    s.plan.commit();
    s.run(30);
    assertThat(requests.get(2).generatedTokens()).isEqualTo(31);
    s.end(requests.get(1));
    s.plan();
    assertThat(s.scheduled()).contains(requests.get(3));
    assertThat(requests).allMatch(r -> r.evictions() == 0);
  }

  @Test
  void nobodyWaitsWhileMemoryIsNotScarce() {
    Stepper s = stepper(10_000, Optional.of(WORKLOAD), Map.of());
    List<Request> requests = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      requests.add(s.arrive(10, 60));
    }
    for (int i = 0; i < 60; i++) {
      s.plan();
      assertThat(s.scheduled()).containsExactlyElementsOf(requests);
      assertThat(s.plan.heldCount()).isZero();
      s.plan.commit();
    }
    assertThat(requests).allMatch(r -> r.generatedTokens() == 60);
  }

  @Test
  void aCrowdIsLetInAtAPace() {
    Stepper s = stepper(120, Optional.of(WORKLOAD), Map.of());
    for (int i = 0; i < 60; i++) {
      s.arrive(10, 60);
    }
    s.plan();
    int atOnce = s.scheduled().size();
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.PACING);
    // All prompts that fit would be 40 of 3 blocks.
    assertThat(atOnce).isLessThan(12);
    s.plan.commit();
    s.run(19);
    assertThat(s.scheduled().size()).isGreaterThan(atOnce).isLessThan(atOnce + 20);
  }

  /** Requests enter freely and end early for long; then a crowd comes. */
  @Test
  void aDebtToThePaceIsForgivenWhenTheRequestsLeave() {
    Stepper s = stepper(250, Optional.of(WORKLOAD), Map.of());
    double full = s.gauges().get("admission_credit");
    for (int i = 0; i < 500; i++) {
      Request first = s.arrive(10, 60);
      Request second = s.arrive(10, 60);
      s.run(1);
      s.end(first);
      s.end(second);
      assertThat(s.gauges().get("admission_credit")).isBetween(-2.0, full);
    }
    for (int i = 0; i < 60; i++) {
      s.arrive(10, 60);
    }
    s.plan();
    int atOnce = s.scheduled().size();
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.PACING);
    s.plan.commit();
    for (int i = 0; i < 60; i++) {
      s.run(1);
      assertThat(s.gauges().get("admission_credit")).isBetween(-s.gauges().get("running"), full);
    }
    assertThat(s.scheduled().size()).isGreaterThan(atOnce);
  }

  /** Thresholds and buffer make for a free block here; a driver that has none must not hang. */
  @Test
  void theOldestLeavesItsEntranceIfNobodyElseCanAdvance() {
    Workload shortPrompts =
        new Workload(
            100, LengthHistogram.of(1), LengthHistogram.of(IntStream.rangeClosed(1, 40).toArray()));
    Stepper s =
        Stepper.of(
            "nested-wait",
            new KvCapacity(4000, 1, 0),
            new BatchLimits(200, 4000),
            Preemption.RECOMPUTE,
            Optional.of(shortPrompts),
            Map.of("boundaries", "10", "slack", "1.2", "fill", "0"));
    assertThat(s.gauges().get("segment_threshold{segment=\"2\"}")).isGreaterThan(1);
    int buffer = s.gauges().get("safety_buffer_blocks").intValue();
    Request older = s.arrive(4000 - buffer - 30, 40);
    s.run(1);
    Request younger = s.arrive(1, 40);
    s.sleep(2);
    s.run(9);
    s.plan();
    assertThat(s.scheduled()).containsExactly(younger);
    assertThat(older.generatedTokens()).isEqualTo(10);
    s.plan.abandon();

    s.plan.begin(s.plan.now(), 0, 0);
    s.scheduler.plan(s.plan);
    assertThat(s.scheduled()).containsExactly(older);
    assertThat(s.plan.evictionCount()).isEqualTo(1);
    assertThat(s.plan.evicted(0)).isSameAs(younger);
  }

  @Test
  void aRequestThatOutgrowsWhatIsDeclaredIsReckonedWithAsItIs() {
    Workload declared = new Workload(100, LengthHistogram.of(10), LengthHistogram.of(1, 2, 3, 4));
    Stepper s = stepper(60, Optional.of(declared), Map.of());
    // Declared longest: 13 tokens, 4 blocks.
    Request first = s.arrive(10, 200);
    s.run(1);
    assertThat(s.gauges()).containsEntry("longest_blocks", 4.0);
    s.run(20);
    assertThat(first.generatedTokens()).isEqualTo(21);
    s.plan();
    assertThat(s.gauges()).containsEntry("longest_blocks", 8.0);
    s.plan.commit();
    s.end(first);
    assertThat(s.gauges()).containsEntry("longest_blocks", 0.0);
  }

  @Test
  void aFewWaitForOthersUntilTheyHaveWaitedTooLong() {
    Workload shortPrompts =
        new Workload(
            100, LengthHistogram.of(1), LengthHistogram.of(IntStream.rangeClosed(1, 40).toArray()));
    Stepper s =
        Stepper.of(
            "nested-wait",
            new KvCapacity(16_000, 1, 0),
            new BatchLimits(2000, 2000),
            Preemption.RECOMPUTE,
            Optional.of(shortPrompts),
            Map.of("fill", "0"));
    assertThat(s.gauges().get("segment_threshold{segment=\"1\"}")).isGreaterThan(10);
    for (int i = 0; i < 400; i++) {
      s.arrive(1, 40);
    }
    s.plan();
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.PACING);
    s.plan.commit();
    s.run(10);
    // The entrance fired and let in all that the pace allowed: too few are left to fire again.
    double left = s.gauges().get("waiting");
    assertThat(left).isBetween(1.0, 10.0);
    s.plan();
    Request first = s.plan.held(0);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.THRESHOLD);
    s.plan.commit();
    s.sleep(1);
    s.plan();
    assertThat(s.scheduled()).contains(first);
    assertThat(s.gauges()).containsEntry("waiting", 0.0);
  }

  @Test
  void aFullSegmentPausesResidentsThatKeepTheirBlocks() {
    Stepper s =
        stepper(
            60, Optional.of(WORKLOAD), Map.of("boundaries", "10,20", "fill", "0", "pace", "100"));
    for (int i = 0; i < 40; i++) {
      s.arrive(8, 60);
    }
    Set<HoldReason> reasons = EnumSet.noneOf(HoldReason.class);
    int paused = 0;
    for (int i = 0; i < 60; i++) {
      s.plan();
      for (int h = 0; h < s.plan.heldCount(); h++) {
        reasons.add(s.plan.holdReason(h));
        Request held = s.plan.held(h);
        if (s.plan.holdReason(h) == HoldReason.SEGMENT_FULL
            && held.state() == RequestState.RESIDENT) {
          paused++;
          assertThat(held.generatedTokens()).isIn(10, 20);
          assertThat(held.scheduledTokens()).isZero();
          assertThat(held.cachedTokens()).isEqualTo(8 + held.generatedTokens() - 1);
        }
      }
      boolean full = s.plan.heldCount() > 0 && s.plan.holdReason(0) == HoldReason.SEGMENT_FULL;
      Request held = full ? s.plan.held(0) : null;
      s.plan.commit();
      if (full && held.state() == RequestState.RESIDENT) {
        double before = pausedResidents(s);
        s.end(held);
        assertThat(pausedResidents(s)).isEqualTo(before - 1);
      }
    }
    assertThat(paused).isPositive();
    assertThat(reasons).contains(HoldReason.SEGMENT_FULL);
  }

  private static double pausedResidents(Stepper s) {
    Map<String, Double> gauges = s.gauges();
    return gauges.get("segment_waiting{segment=\"2\"}")
        + gauges.get("segment_waiting{segment=\"3\"}");
  }

  @Test
  void anUnderFilledBatchOpensFullSegments() {
    Map<String, String> options = Map.of("boundaries", "10,20", "fill", "10", "pace", "100");
    Stepper s = stepper(60, Optional.of(WORKLOAD), options);
    for (int i = 0; i < 40; i++) {
      s.arrive(8, 60);
    }
    for (int i = 0; i < 60; i++) {
      s.run(1);
      assertThat(s.gauges().get("segment_waiting{segment=\"2\"}")).isZero();
      assertThat(s.gauges().get("segment_waiting{segment=\"3\"}")).isZero();
    }
  }

  @Test
  void evictsTheYoungestWhenOutputsAreLongerThanDeclared() {
    Workload wrong = new Workload(100, LengthHistogram.of(8), LengthHistogram.of(2, 3, 4));
    Stepper s = stepper(30, Optional.of(wrong), Map.of());
    Request oldest = s.arrive(8, 100);
    for (int i = 0; i < 10; i++) {
      s.arrive(8, 100);
    }
    int evictions = 0;
    for (int i = 0; i < 99; i++) {
      s.plan();
      assertThat(s.scheduled()).contains(oldest);
      List<Request> scheduled = s.scheduled();
      for (int e = 0; e < s.plan.evictionCount(); e++) {
        evictions++;
        long victim = s.plan.evicted(e).id();
        assertThat(scheduled).allMatch(r -> r.id() < victim);
      }
      s.plan.commit();
    }
    assertThat(evictions).isPositive();
    assertThat(oldest.evictions()).isZero();
    assertThat(oldest.generatedTokens()).isEqualTo(99);
  }

  @Test
  void decodesGoBeforeALongPrompt() {
    Stepper s =
        Stepper.of(
            "nested-wait",
            new KvCapacity(1000, 4, 0),
            new BatchLimits(8, 6),
            Preemption.RECOMPUTE,
            Optional.empty(),
            Map.of());
    Request first = s.arrive(2, 20);
    Request second = s.arrive(3, 20);
    s.run(1);
    Request prompt = s.arrive(11, 20);
    s.plan();
    assertThat(first.scheduledTokens()).isEqualTo(1);
    assertThat(second.scheduledTokens()).isEqualTo(1);
    assertThat(prompt.scheduledTokens()).isEqualTo(4);
    s.plan.commit();
    s.run(1);
    assertThat(prompt.cachedTokens()).isEqualTo(8);
    assertThat(first.generatedTokens()).isEqualTo(3);
    s.run(1);
    assertThat(prompt.generatedTokens()).isEqualTo(1);
  }

  @Test
  void reportsItsSegments() {
    Stepper s = stepper(1000, Optional.of(WORKLOAD), Map.of("boundaries", "10"));
    s.arrive(10, 60);
    s.run(1);
    Map<String, Double> gauges = s.gauges();
    assertThat(gauges)
        .containsEntry("segment_occupancy{segment=\"1\"}", 1.0)
        .containsEntry("segment_occupancy{segment=\"2\"}", 0.0)
        .containsEntry("segment_waiting{segment=\"2\"}", 0.0)
        .containsEntry("waiting", 0.0)
        .containsEntry("running", 1.0)
        .containsKeys("segment_threshold{segment=\"1\"}", "segment_capacity{segment=\"2\"}")
        .containsEntry("stable", 1.0);
    assertThat(gauges.get("stability_margin")).isBetween(0.0, 1.0);
    assertThat(gauges.get("sustainable_rate")).isGreaterThan(WORKLOAD.arrivalRate());
    assertThat(gauges.get("iteration_seconds")).isLessThan(gauges.get("cycle_seconds"));
    Workload flood = new Workload(1e6, WORKLOAD.promptTokens(), WORKLOAD.outputTokens());
    Map<String, Double> flooded = stepper(1000, Optional.of(flood), Map.of()).gauges();
    assertThat(flooded).containsEntry("stable", 0.0);
    assertThat(flooded.get("stability_margin")).isNegative();
    assertThat(stepper(1000, Optional.empty(), Map.of()).gauges()).doesNotContainKey("stable");
    s.run(10);
    assertThat(s.gauges()).containsEntry("segment_occupancy{segment=\"2\"}", 1.0);
  }

  @Test
  void optionsAreChecked() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> stepper(100, Optional.of(WORKLOAD), Map.of("slack", "1")))
        .withMessageContaining("slack=1");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> stepper(100, Optional.of(WORKLOAD), Map.of("boundaries", "20,10")))
        .withMessageContaining("[20, 10], must increase");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> stepper(100, Optional.of(WORKLOAD), Map.of("watermark", "0")))
        .withMessageContaining("has no option [watermark]");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> stepper(10, Optional.of(WORKLOAD), Map.of()))
        .withMessageContaining("the pool has 40");
  }
}
