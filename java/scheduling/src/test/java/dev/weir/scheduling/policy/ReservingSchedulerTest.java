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
  void vidurReservesTheSameForEveryone() {
    Stepper s = stepper("orca", 8, 100, "requestTokens", "16");
    Request a = s.arrive(1, 1);
    Request b = s.arrive(1, 1);
    s.arrive(1, 1);
    s.plan();
    assertThat(s.scheduled()).containsExactly(a, b);
    assertThat(s.gauges()).containsEntry("reserved_blocks", 8.0);
  }
}
