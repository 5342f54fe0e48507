package dev.weir.scheduling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class IterationPlanTest {
  private static final KvCapacity MEMORY = new KvCapacity(10, 4, 3);
  private static final BatchLimits LIMITS = new BatchLimits(3, 20);

  private final IterationPlan plan = plan(Preemption.RECOMPUTE);
  private long nextId;

  private static IterationPlan plan(Preemption preemption) {
    IterationPlan plan = new IterationPlan(MEMORY, LIMITS, preemption);
    plan.begin(0, MEMORY.blocks(), MEMORY.swapBlocks());
    return plan;
  }

  private Request request(int prompt) {
    return new Request(nextId++, 0, prompt, 100, Request.UNKNOWN);
  }

  /** A request with {@code prompt} cached tokens and one generated. */
  private Request resident(IterationPlan plan, int prompt) {
    Request request = request(prompt);
    assertThat(plan.schedule(request, prompt)).isTrue();
    plan.commit();
    plan.begin(1, plan.freeBlocks(), MEMORY.swapBlocks());
    return request;
  }

  @Test
  void schedulingTakesWholeBlocksAndTokens() {
    Request request = request(9);
    assertThat(plan.blocksNeeded(request, 9)).isEqualTo(3);
    assertThat(plan.schedule(request, 5)).isTrue();
    assertThat(plan.freeBlocks()).isEqualTo(8);
    assertThat(plan.remainingTokens()).isEqualTo(15);
    assertThat(plan.remainingSequences()).isEqualTo(2);
    assertThat(request.state()).isEqualTo(RequestState.RESIDENT);
    assertThat(request.scheduledTokens()).isEqualTo(5);
    plan.commit();
    assertThat(request.cachedTokens()).isEqualTo(5);
    assertThat(request.generatedTokens()).isZero();

    plan.begin(1, 8, 3);
    assertThat(plan.size()).isZero();
    assertThat(plan.blocksNeeded(request, 4)).isEqualTo(1);
    assertThat(plan.schedule(request, 4)).isTrue();
    assertThat(plan.freeBlocks()).isEqualTo(7);
    plan.commit();
    assertThat(request.generatedTokens()).isEqualTo(1);
    assertThat(request.pendingTokens()).isEqualTo(1);
    assertThat(request.isDecoding()).isTrue();
  }

  @Test
  void refusesMoreTokensThanTheBudgetAndLeavesEverythingAsItWas() {
    Request request = request(30);
    assertThat(plan.schedule(request, 21)).isFalse();
    assertThat(request.state()).isEqualTo(RequestState.WAITING);
    assertThat(plan.freeBlocks()).isEqualTo(10);
    assertThat(plan.remainingTokens()).isEqualTo(20);
    assertThat(plan.schedule(request, 20)).isTrue();
    assertThat(plan.schedule(request(1), 1)).isFalse();
  }

  @Test
  void refusesMoreBlocksThanAreFree() {
    plan.begin(0, 2, 3);
    Request request = request(9);
    assertThat(plan.schedule(request, 9)).isFalse();
    assertThat(plan.schedule(request, 8)).isTrue();
    assertThat(plan.freeBlocks()).isZero();
  }

  @Test
  void refusesMoreSequencesThanTheLimit() {
    for (int i = 0; i < 3; i++) {
      assertThat(plan.schedule(request(1), 1)).isTrue();
    }
    assertThat(plan.remainingSequences()).isZero();
    assertThat(plan.schedule(request(1), 1)).isFalse();
    assertThat(plan.size()).isEqualTo(3);
    assertThatThrownBy(() -> plan.request(3)).isInstanceOf(IndexOutOfBoundsException.class);
  }

  @Test
  void refusesWrongUse() {
    Request request = request(5);
    assertThatIllegalArgumentException().isThrownBy(() -> plan.schedule(request, 0));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> plan.schedule(request, 6))
        .withMessageContaining("tokens is 6, must be in 1..5");
    assertThatIllegalStateException().isThrownBy(() -> plan.evict(request));
    assertThatIllegalStateException().isThrownBy(() -> plan.resume(request));
    plan.schedule(request, 5);
    assertThatIllegalStateException()
        .isThrownBy(() -> plan.schedule(request, 5))
        .withMessageContaining("scheduled already");
    assertThatIllegalStateException()
        .isThrownBy(() -> plan.evict(request))
        .withMessageContaining("cannot evict");
    request.finish();
    assertThatIllegalStateException().isThrownBy(() -> plan.schedule(request, 5));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> plan.begin(0, 11, 0))
        .withMessageContaining("must be in 0..10");
    assertThatIllegalArgumentException().isThrownBy(() -> plan.begin(0, -1, 0));
  }

  @Test
  void evictionByRecomputeDropsWhatIsCached() {
    Request request = resident(plan, 9);
    assertThat(plan.freeBlocks()).isEqualTo(7);
    plan.evict(request);
    assertThat(plan.freeBlocks()).isEqualTo(10);
    assertThat(plan.evictionCount()).isEqualTo(1);
    assertThat(plan.evicted(0)).isSameAs(request);
    assertThat(request.state()).isEqualTo(RequestState.WAITING);
    assertThat(request.cachedTokens()).isZero();
    assertThat(request.recomputedTokens()).isEqualTo(9);
    assertThat(request.evictions()).isEqualTo(1);
    // Prompt and generated token are computed again, and then one more is generated.
    assertThat(request.pendingTokens()).isEqualTo(10);
    assertThat(request.isDecoding()).isFalse();
    assertThat(plan.schedule(request, 10)).isTrue();
    plan.commit();
    assertThat(request.generatedTokens()).isEqualTo(2);
  }

  @Test
  void evictionBySwapKeepsWhatIsCached() {
    IterationPlan swapping = plan(Preemption.SWAP);
    Request first = resident(swapping, 9);
    Request second = resident(swapping, 4);
    swapping.evict(first);
    assertThat(first.state()).isEqualTo(RequestState.SWAPPED);
    assertThat(first.cachedTokens()).isEqualTo(9);
    assertThat(first.recomputedTokens()).isZero();
    // The three swap blocks are taken, so the second one is dropped.
    swapping.evict(second);
    assertThat(second.state()).isEqualTo(RequestState.WAITING);
    assertThat(swapping.freeBlocks()).isEqualTo(10);
    assertThatIllegalStateException().isThrownBy(() -> swapping.schedule(first, 1));
    assertThatIllegalStateException()
        .isThrownBy(() -> swapping.resume(first))
        .withMessageContaining("swapped out in this very plan");

    swapping.begin(2, 2, 0);
    assertThat(swapping.resume(first)).isFalse();
    swapping.begin(3, 3, 0);
    assertThat(swapping.resume(first)).isTrue();
    assertThat(swapping.resumedCount()).isEqualTo(1);
    assertThat(swapping.resumed(0)).isSameAs(first);
    assertThat(swapping.freeBlocks()).isZero();
    assertThat(swapping.schedule(first, 1)).isTrue();
  }

  @Test
  void nothingIsSwappedForARequestWhoseFirstStepFailed() {
    IterationPlan swapping = plan(Preemption.SWAP);
    Request request = request(5);
    swapping.schedule(request, 5);
    swapping.abandon();
    swapping.begin(1, 10, 3);
    swapping.evict(request);
    assertThat(request.state()).isEqualTo(RequestState.WAITING);
    assertThat(swapping.freeBlocks()).isEqualTo(10);
  }

  @Test
  void refusesToEvictWhatItHasJustResumed() {
    IterationPlan swapping = plan(Preemption.SWAP);
    Request request = resident(swapping, 5);
    swapping.evict(request);
    swapping.begin(2, 10, 1);
    swapping.resume(request);
    assertThatIllegalStateException()
        .isThrownBy(() -> swapping.evict(request))
        .withMessageContaining("resumed in this very plan");
  }

  @Test
  void anAbandonedPlanAdvancesNobody() {
    Request request = request(5);
    plan.schedule(request, 5);
    plan.abandon();
    assertThat(request.cachedTokens()).isZero();
    assertThat(request.scheduledTokens()).isZero();
    assertThat(request.pendingTokens()).isEqualTo(5);
  }

  @Test
  void aRequestCancelledDuringTheIterationDoesNotAdvance() {
    Request request = request(5);
    plan.schedule(request, 5);
    request.finish();
    plan.commit();
    assertThat(request.generatedTokens()).isZero();
    assertThat(request.state()).isEqualTo(RequestState.FINISHED);
  }

  @Test
  void keepsTheDecisionLogAndTheEarliestWakeTime() {
    assertThat(plan.wakeTime()).isInfinite();
    for (int i = 0; i < 40; i++) {
      plan.hold(request(1), i % 2 == 0 ? HoldReason.MEMORY : HoldReason.THRESHOLD);
    }
    assertThat(plan.heldCount()).isEqualTo(40);
    assertThat(plan.held(39).id()).isEqualTo(39);
    assertThat(plan.holdReason(39)).isEqualTo(HoldReason.THRESHOLD);
    plan.wakeAt(5);
    plan.wakeAt(7);
    assertThat(plan.wakeTime()).isEqualTo(5);
    plan.begin(1, 10, 3);
    assertThat(plan.heldCount()).isZero();
    assertThat(plan.wakeTime()).isInfinite();
    assertThat(plan.now()).isEqualTo(1);
  }

  @Test
  void predictionsAreLoggedUntilTheNextPlan() {
    for (int i = 0; i < 40; i++) {
      plan.predictOverflow(request(1), i / 100.0);
    }
    assertThat(plan.predictionCount()).isEqualTo(40);
    assertThat(plan.predicted(17).id()).isEqualTo(17);
    assertThat(plan.overflowProbability(17)).isEqualTo(0.17);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> plan.predictOverflow(request(1), Double.NaN));

    plan.begin(1, MEMORY.blocks(), 0);
    assertThat(plan.predictionCount()).isZero();
  }
}
