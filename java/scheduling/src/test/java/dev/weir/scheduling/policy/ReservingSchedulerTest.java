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
import java.util.Random;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

class ReservingSchedulerTest {
  private static Stepper stepper(String name, long blocks, int tokens, String... options) {
    return Stepper.of(
        name,
        new KvCapacity(blocks, 4, 0),
        new BatchLimits(3, tokens),
        Preemption.RECOMPUTE,
        Optional.empty(),
        options.length == 0 ? Map.of() : Map.of("semantics", "vidur", options[0], options[1]));
  }

  @Test
  void orcaReservesTheLongestOutput() {
    // Each may reach 4 + 9 - 1 = 12 tokens, 3 blocks; 8 blocks hold two of them.
    Stepper s = stepper("orca", 8, 100);
    Request a = s.arrive(4, 9);
    Request b = s.arrive(4, 9);
    Request c = s.arrive(4, 9);
    s.plan();
    assertThat(s.scheduled()).containsExactly(a, b);
    assertThat(s.plan.held(0)).isSameAs(c);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.MEMORY);
    s.plan.commit();
    s.end(a);
    s.plan();
    assertThat(s.scheduled()).containsExactly(b, c);
    assertThat(c.scheduledTokens()).isEqualTo(4);
  }

  @Test
  void aStaticBatchAdmitsNobodyBeforeItsLastRequestEnds() {
    Stepper s = stepper("static", 100, 100);
    Request a = s.arrive(4, 9);
    Request b = s.arrive(4, 9);
    s.run(1);
    Request c = s.arrive(4, 9);
    s.end(a);
    s.plan();
    assertThat(s.scheduled()).containsExactly(b);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.BATCH_CLOSED);
    s.plan.commit();
    s.end(b);
    s.plan();
    assertThat(s.scheduled()).containsExactly(c);
  }

  @Test
  void aStaticBatchIsFullEvenIfItsPromptsTakeSeveralIterations() {
    Stepper s = stepper("static", 100, 6);
    Request a = s.arrive(4, 9);
    Request b = s.arrive(4, 9);
    Request c = s.arrive(4, 9);
    Request d = s.arrive(4, 9);
    s.plan();
    assertThat(s.scheduled()).containsExactly(a, b);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.SEQUENCE_LIMIT);
    s.plan.commit();
    s.plan();
    assertThat(s.scheduled()).containsExactly(a, b, c);
    assertThat(c.scheduledTokens()).isEqualTo(3);
    assertThat(d.state()).isEqualTo(RequestState.WAITING);
  }

  @Test
  void orcaAdmitsAPromptOnlyAsAWholeUnlessItExceedsTheBudget() {
    Stepper s = stepper("orca", 100, 6);
    Request a = s.arrive(4, 9);
    Request b = s.arrive(4, 9);
    Request c = s.arrive(7, 9);
    s.plan();
    assertThat(s.scheduled()).containsExactly(a);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.TOKEN_BUDGET);
    s.plan.commit();
    s.plan();
    assertThat(s.scheduled()).containsExactly(a, b, c);
    assertThat(b.scheduledTokens()).isEqualTo(4);
    assertThat(c.scheduledTokens()).isEqualTo(1);
  }

  @Test
  void reserveAdmitsAPromptWithWhatTheBudgetLeaves() {
    Stepper s =
        Stepper.of(
            "reserve",
            new KvCapacity(6, 4, 0),
            new BatchLimits(3, 6),
            Preemption.RECOMPUTE,
            Optional.empty(),
            Map.of());
    // 4 + 9 - 1 = 12 tokens each, 3 blocks.
    Request a = s.arrive(4, 9);
    Request b = s.arrive(4, 9);
    Request c = s.arrive(1, 1);
    s.plan();
    assertThat(s.scheduled()).containsExactly(a, b);
    assertThat(b.scheduledTokens()).isEqualTo(2);
    s.plan.commit();
    s.plan();
    assertThat(a.scheduledTokens()).isEqualTo(1);
    assertThat(b.scheduledTokens()).isEqualTo(2);
    assertThat(s.plan.held(0)).isSameAs(c);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.MEMORY);
    assertThat(s.gauges()).containsEntry("reserved_blocks", 6.0);
  }

  @Property(tries = 1000, edgeCases = EdgeCasesMode.NONE)
  void neverEvictsAndNeverStalls(@ForAll long seed, @ForAll ReservingScheduler.Joining joining) {
    Random random = new Random(seed);
    SteppedLoad load = SteppedLoad.random(random).withCancellations(random);
    load.run(
        new ReservingScheduler(load.memory(), load.limits(), joining, 1),
        alive -> {},
        () -> random.nextInt(10) == 0);
  }

  @Test
  void vidurReservesTheSameForEveryone() {
    Stepper s = stepper("orca", 8, 100, "requestTokens", "16");
    Request a = s.arrive(1, 1);
    Request b = s.arrive(1, 1);
    s.arrive(1, 1);
    s.plan();
    assertThat(s.scheduled()).containsExactly(a, b);
    assertThat(s.gauges()).containsEntry("reserved_blocks", 8.0);
  }

  @Test
  void aPoolThatDoesNotHoldWhatVidurReservesIsRefused() {
    for (String name : new String[] {"orca", "static"}) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> stepper(name, 8, 100, "requestTokens", "33"))
          .withMessageContaining("33 tokens, the pool has 32")
          .withMessageContaining("requestTokens");
    }
  }
}
