package dev.weir.scheduling.policy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class SarathiSchedulerTest {
  private static Stepper stepper(long blocks, Preemption preemption, String... options) {
    KvCapacity memory = new KvCapacity(blocks, 4, preemption == Preemption.SWAP ? 100 : 0);
    Map<String, String> settings =
        options.length == 0
            ? Map.of("chunk", "10", "watermark", "0")
            : Map.of("chunk", "10", "watermark", "0", options[0], options[1]);
    return Stepper.of(
        "sarathi", memory, new BatchLimits(8, 1000), preemption, Optional.empty(), settings);
  }

  @Test
  void decodesAndFillsTheChunkWithPrefill() {
    Stepper s = stepper(100, Preemption.RECOMPUTE);
    Request a = s.arrive(4, 10);
    s.run(1);
    Request b = s.arrive(20, 10);
    Request c = s.arrive(3, 10);
    s.plan();
    assertThat(s.scheduled()).containsExactly(a, b);
    assertThat(b.scheduledTokens()).isEqualTo(9);
    assertThat(s.plan.held(0)).isSameAs(c);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.TOKEN_BUDGET);
    s.plan.commit();
    s.plan();
    assertThat(b.scheduledTokens()).isEqualTo(9);
    s.plan.commit();
    s.plan();
    // One decode, the last two of b, all of c.
    assertThat(s.scheduled()).containsExactly(a, b, c);
    assertThat(b.scheduledTokens()).isEqualTo(2);
    assertThat(c.scheduledTokens()).isEqualTo(3);
  }

  @Test
  void theBlocksOfTheWholePromptAreReserved() {
    // The first holds 3 of 10 blocks after its first chunk, but 7 are spoken for.
    Stepper s = stepper(10, Preemption.RECOMPUTE);
    Request a = s.arrive(28, 4);
    s.run(1);
    assertThat(a.cachedTokens()).isEqualTo(10);
    s.arrive(16, 4);
    s.run(1);
    s.plan();
    // 8 tokens for the rest of a, and 2 left for b, whose 4 blocks do not fit beside 7.
    assertThat(s.scheduled()).containsExactly(a);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.MEMORY);
  }

  @Test
  void aPartialPromptIsEvictedForADecodingRequest() {
    // 6 blocks: a takes 1, b reserves the other 5; then a needs its second.
    Stepper s = stepper(6, Preemption.RECOMPUTE);
    Request a = s.arrive(3, 6);
    Request b = s.arrive(20, 4);
    s.run(1);
    assertThat(b.cachedTokens()).isEqualTo(7);
    s.run(1);
    assertThat(a.cachedTokens()).isEqualTo(4);
    s.plan();
    assertThat(s.plan.evicted(0)).isSameAs(b);
    assertThat(s.scheduled()).containsExactly(a);
    assertThat(b.pendingTokens()).isEqualTo(20);
  }

  @Test
  void vidurTakesAnEvictedPartForTheWholePrompt() {
    // 6 blocks: a takes 1, b reserves the other 5, and Vidur wants a free one for a.
    Stepper s = stepper(6, Preemption.RECOMPUTE, "semantics", "vidur");
    Request a = s.arrive(3, 6);
    Request b = s.arrive(20, 4);
    s.run(1);
    assertThat(b.cachedTokens()).isEqualTo(7);
    s.plan();
    assertThat(s.plan.evicted(0)).isSameAs(b);
    assertThat(s.scheduled()).containsExactly(a, b);
    assertThat(b.scheduledTokens()).isEqualTo(7);
    s.plan.commit();
    s.plan();
    assertThat(s.scheduled()).containsExactly(a, b);
    assertThat(b.pendingTokens()).isEqualTo(13);
    assertThat(b.scheduledTokens()).isEqualTo(1);
  }

  @Test
  void aSwappedPartKeepsWhatWasComputed() {
    Stepper s = stepper(6, Preemption.SWAP);
    Request a = s.arrive(3, 6);
    Request b = s.arrive(20, 4);
    s.run(3);
    assertThat(b.state()).isEqualTo(RequestState.SWAPPED);
    assertThat(b.cachedTokens()).isEqualTo(16);
    s.end(a);
    s.plan();
    assertThat(s.plan.resumed(0)).isSameAs(b);
    assertThat(b.scheduledTokens()).isEqualTo(4);
  }
}
