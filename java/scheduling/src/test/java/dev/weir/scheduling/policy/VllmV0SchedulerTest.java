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

class VllmV0SchedulerTest {
  private static Stepper stepper(
      long blocks, BatchLimits limits, Preemption preemption, Map<String, String> options) {
    KvCapacity memory = new KvCapacity(blocks, 4, preemption == Preemption.SWAP ? 100 : 0);
    return Stepper.of("vllm-v0", memory, limits, preemption, Optional.empty(), options);
  }

  private static Stepper stepper(long blocks, Map<String, String> options) {
    return stepper(blocks, new BatchLimits(8, 16), Preemption.RECOMPUTE, options);
  }

  @Test
  void prefillsFirstAndNeverMixes() {
    Stepper s = stepper(100, Map.of());
    Request a = s.arrive(5, 10);
    s.run(2);
    assertThat(a.generatedTokens()).isEqualTo(2);
    Request b = s.arrive(6, 10);
    Request c = s.arrive(7, 10);
    s.plan();
    assertThat(s.scheduled()).containsExactly(b, c);
    assertThat(s.plan.remainingTokens()).isEqualTo(3);
    s.plan.commit();
    s.plan();
    assertThat(s.scheduled()).containsExactly(a, b, c);
    assertThat(s.plan.remainingTokens()).isEqualTo(13);
  }

  @Test
  void aPromptThatDoesNotFitTheRestOfTheBudgetWaits() {
    Stepper s = stepper(100, Map.of());
    Request a = s.arrive(10, 10);
    Request b = s.arrive(7, 10);
    s.plan();
    assertThat(s.scheduled()).containsExactly(a);
    assertThat(s.plan.held(0)).isSameAs(b);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.TOKEN_BUDGET);
  }

  @Test
  void aPromptLongerThanTheBudgetIsCutAndNothingDecodesMeanwhile() {
    Stepper s = stepper(100, Map.of());
    Request a = s.arrive(4, 10);
    s.run(1);
    Request b = s.arrive(40, 10);
    for (int tokens : new int[] {16, 16, 8}) {
      s.plan();
      assertThat(s.scheduled()).containsExactly(b);
      assertThat(b.scheduledTokens()).isEqualTo(tokens);
      s.plan.commit();
    }
    s.plan();
    assertThat(s.scheduled()).containsExactly(a, b);
  }

  @Test
  void theWatermarkIsLeftFreeUnlessNothingRuns() {
    // 20 blocks, watermark 2: the first takes 9, the second would leave 1.
    Stepper s =
        stepper(20, new BatchLimits(8, 100), Preemption.RECOMPUTE, Map.of("watermark", "0.14"));
    Request a = s.arrive(36, 1);
    Request b = s.arrive(40, 1);
    s.plan();
    assertThat(s.scheduled()).containsExactly(a);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.MEMORY);
    s.plan.commit();
    s.end(a);
    Request c = s.arrive(80, 1);
    s.end(b);
    s.plan();
    assertThat(s.scheduled()).containsExactly(c);
  }

  @Test
  void theMostRecentIsEvictedAndPrefilledAgainWithItsTokens() {
    // Four blocks of four: both fill two, then the first needs a third.
    Stepper s = stepper(4, Map.of("watermark", "0"));
    Request a = s.arrive(7, 5);
    Request b = s.arrive(7, 5);
    s.run(2);
    assertThat(a.cachedTokens()).isEqualTo(8);
    s.plan();
    assertThat(s.plan.evictionCount()).isEqualTo(1);
    assertThat(s.plan.evicted(0)).isSameAs(b);
    assertThat(s.scheduled()).containsExactly(a);
    s.plan.commit();
    assertThat(b.pendingTokens()).isEqualTo(9);
    s.end(a);
    s.plan();
    assertThat(s.scheduled()).containsExactly(b);
    assertThat(b.scheduledTokens()).isEqualTo(9);
  }

  @Test
  void aSwappedRequestComesBackBeforeAnyoneIsAdmitted() {
    Stepper s = stepper(4, new BatchLimits(8, 16), Preemption.SWAP, Map.of("watermark", "0"));
    Request a = s.arrive(7, 5);
    Request b = s.arrive(7, 5);
    s.run(3);
    assertThat(b.state()).isEqualTo(RequestState.SWAPPED);
    Request c = s.arrive(1, 2);
    s.plan();
    assertThat(s.scheduled()).containsExactly(a);
    assertThat(c.state()).isEqualTo(RequestState.WAITING);
    s.plan.commit();
    s.end(a);
    s.plan();
    assertThat(s.plan.resumed(0)).isSameAs(b);
    assertThat(s.scheduled()).containsExactly(b);
    s.plan.commit();
    s.plan();
    assertThat(s.scheduled()).containsExactly(c);
  }

  @Test
  void vidurCountsEveryPromptAsLongAsTheLongest() {
    Map<String, String> options = Map.of("semantics", "vidur", "paddedTokens", "30");
    Stepper s = stepper(100, new BatchLimits(8, 1000), Preemption.RECOMPUTE, options);
    Request a = s.arrive(2, 5);
    Request b = s.arrive(11, 5);
    s.arrive(2, 5);
    s.plan();
    // 2 x 11 is within 30, 3 x 11 is not, although the three have 15 tokens.
    assertThat(s.scheduled()).containsExactly(a, b);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.TOKEN_BUDGET);
  }

  @Test
  void vidurEvictsWhenNoBlockIsFreeEvenIfNoneIsNeeded() {
    // Both blocks are taken, and each has room for another token.
    Map<String, String> none = Map.of("watermark", "0");
    Map<String, String> vidur = Map.of("watermark", "0", "semantics", "vidur");
    for (boolean quirk : new boolean[] {false, true}) {
      Stepper s = stepper(2, quirk ? vidur : none);
      s.arrive(2, 3);
      s.arrive(2, 3);
      s.run(1);
      s.plan();
      assertThat(s.plan.evictionCount()).isEqualTo(quirk ? 1 : 0);
    }
  }

  @Test
  void vidurKnowsNoSwap() {
    assertThatIllegalArgumentException()
        .isThrownBy(
            () -> stepper(9, new BatchLimits(8, 16), Preemption.SWAP, Map.of("semantics", "vidur")))
        .withMessageContaining("preemption is SWAP");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> stepper(9, Map.of("semantics", "orca")))
        .withMessageContaining("semantics=orca is not one of [weir, vidur]");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> stepper(9, Map.of("paddedTokens", "9")))
        .withMessageContaining("no option [paddedTokens]");
  }

  @Test
  void promptsOfAFailedIterationGoTogetherAgain() {
    Stepper s = stepper(100, Map.of());
    Request a = s.arrive(5, 10);
    Request b = s.arrive(6, 10);
    s.plan();
    s.plan.abandon();
    s.plan();
    assertThat(s.scheduled()).containsExactly(a, b);
    assertThat(a.scheduledTokens()).isEqualTo(5);
    assertThat(b.scheduledTokens()).isEqualTo(6);
  }
}
