package dev.weir.scheduling.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class FcfsSchedulerTest {
  private static Stepper stepper(
      KvCapacity memory, BatchLimits limits, Preemption preemption, Map<String, String> options) {
    return Stepper.of("fcfs", memory, limits, preemption, Optional.empty(), options);
  }

  private static Stepper stepper(long blocks) {
    return stepper(
        new KvCapacity(blocks, 4, 0), new BatchLimits(8, 100), Preemption.RECOMPUTE, Map.of());
  }

  @Test
  void decodesAndPrefillsInOneBatchUnderTheTokenBudget() {
    Stepper s =
        stepper(new KvCapacity(100, 4, 0), new BatchLimits(8, 10), Preemption.RECOMPUTE, Map.of());
    Request first = s.arrive(8, 20);
    Request second = s.arrive(12, 20);
    s.plan();
    assertThat(first.scheduledTokens()).isEqualTo(8);
    assertThat(second.scheduledTokens()).isEqualTo(2);
    s.plan.commit();
    s.plan();
    assertThat(s.scheduled()).containsExactly(first, second);
    assertThat(first.scheduledTokens()).isEqualTo(1);
    assertThat(second.scheduledTokens()).isEqualTo(9);
    s.plan.commit();
    assertThat(second.generatedTokens()).isZero();
    s.run(1);
    assertThat(second.generatedTokens()).isEqualTo(1);
  }

  @Test
  void evictsTheMostRecentlyAdmittedAndAdmitsNobodyInThatIteration() {
    Stepper s = stepper(4);
    Request first = s.arrive(8, 8);
    Request second = s.arrive(8, 8);
    Request third = s.arrive(1, 1);
    s.run(1);
    assertThat(first.generatedTokens()).isEqualTo(1);
    assertThat(second.generatedTokens()).isEqualTo(1);
    s.plan();
    assertThat(s.scheduled()).containsExactly(first);
    assertThat(s.plan.evictionCount()).isEqualTo(1);
    assertThat(s.plan.evicted(0)).isSameAs(second);
    assertThat(s.plan.held(0)).isSameAs(second);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.MEMORY);
    s.plan.commit();
    // One block is free: it would do for the third, but the second is at the head of the queue
    // again.
    s.plan();
    assertThat(s.scheduled()).containsExactly(first);
    assertThat(third.state()).isEqualTo(RequestState.WAITING);
    s.end(first);
    s.plan();
    assertThat(s.scheduled()).containsExactly(second, third);
    assertThat(second.scheduledTokens()).isEqualTo(9);
  }

  @Test
  void evictedRequestsComeBackInOrderOfArrival() {
    Stepper s = stepper(6);
    Request first = s.arrive(8, 17);
    Request second = s.arrive(8, 17);
    Request third = s.arrive(8, 17);
    s.run(2);
    assertThat(third.evictions()).isEqualTo(1);
    s.run(8);
    assertThat(second.evictions()).isEqualTo(1);
    s.end(first);
    s.plan();
    assertThat(s.scheduled()).startsWith(second);
  }

  @Test
  void theWatermarkKeepsBlocksFreeUnlessNothingRuns() {
    Stepper s =
        stepper(
            new KvCapacity(10, 4, 0),
            new BatchLimits(8, 100),
            Preemption.RECOMPUTE,
            Map.of("watermark", "0.3"));
    Request whole = s.arrive(37, 4);
    s.plan();
    assertThat(s.scheduled()).containsExactly(whole);
    s.plan.commit();
    s.end(whole);
    Request first = s.arrive(20, 4);
    Request second = s.arrive(12, 4);
    s.plan();
    assertThat(s.scheduled()).containsExactly(first);
    assertThat(s.plan.held(0)).isSameAs(second);
    s.plan.abandon();
    s.end(second);
    s.arrive(8, 4);
    s.plan();
    assertThat(s.scheduled()).hasSize(2);
  }

  @Test
  void swappedRequestsComeBackBeforeAnyoneIsAdmitted() {
    Stepper s =
        stepper(new KvCapacity(4, 4, 4), new BatchLimits(8, 100), Preemption.SWAP, Map.of());
    Request first = s.arrive(8, 8);
    Request second = s.arrive(8, 8);
    s.run(2);
    assertThat(second.state()).isEqualTo(RequestState.SWAPPED);
    assertThat(second.cachedTokens()).isEqualTo(8);
    Request third = s.arrive(1, 1);
    s.run(1);
    assertThat(third.state()).isEqualTo(RequestState.WAITING);
    assertThat(s.gauges())
        .containsEntry("waiting", 1.0)
        .containsEntry("running", 1.0)
        .containsEntry("swapped", 1.0);
    s.end(first);
    s.plan();
    assertThat(s.plan.resumed(0)).isSameAs(second);
    assertThat(s.scheduled()).containsExactly(second, third);
    assertThat(second.scheduledTokens()).isEqualTo(1);
    assertThat(second.recomputedTokens()).isZero();
  }

  @Test
  void aSequenceLimitHoldsTheHead() {
    Stepper s =
        stepper(new KvCapacity(100, 4, 0), new BatchLimits(1, 100), Preemption.RECOMPUTE, Map.of());
    s.arrive(4, 4);
    Request second = s.arrive(4, 4);
    s.arrive(4, 4);
    s.plan();
    assertThat(s.plan.heldCount()).isEqualTo(1);
    assertThat(s.plan.held(0)).isSameAs(second);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.SEQUENCE_LIMIT);
  }

  @Test
  void refusesWhatCouldNeverFit() {
    Stepper s = stepper(4);
    s.arrive(8, 9);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> s.arrive(8, 10))
        .withMessageContaining("may need 5 KV blocks of 4 tokens, the pool has 4");
  }

  @Test
  void aCapHoldsTheHeadAlthoughTheMemoryWouldDo() {
    Stepper s = capped(Map.of("cap", "2"));
    Request first = s.arrive(4, 4);
    Request second = s.arrive(4, 4);
    Request third = s.arrive(4, 4);
    s.plan();
    assertThat(s.scheduled()).containsExactly(first, second);
    assertThat(s.plan.held(0)).isSameAs(third);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.SEQUENCE_LIMIT);
    s.plan.commit();
    s.end(first);
    s.plan();
    assertThat(s.scheduled()).containsExactly(second, third);
  }

  private static Stepper capped(Map<String, String> options) {
    return Stepper.of(
        "capped-fcfs",
        new KvCapacity(100, 4, 0),
        new BatchLimits(8, 100),
        Preemption.RECOMPUTE,
        Optional.empty(),
        options);
  }

  @Test
  void withoutACapSaysHowToFindOne() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> capped(Map.of()))
        .withMessageContaining("'capped-fcfs' needs the option cap")
        .withMessageContaining("(1..8)")
        .withMessageContaining("dev.weir.simulation.experiment.CapSearch");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> capped(Map.of("cap", "0")))
        .withMessageContaining("cap=0 is not in 1..");
  }

  @Test
  void refusesUnknownOptions() {
    assertThatIllegalArgumentException()
        .isThrownBy(
            () ->
                stepper(
                    new KvCapacity(4, 4, 0),
                    new BatchLimits(8, 100),
                    Preemption.RECOMPUTE,
                    Map.of("segments", "3")))
        .withMessage("scheduler 'fcfs' has no option [segments]; it has [watermark]");
  }
}
