package dev.weir.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.testkit.VirtualDriver.Job;
import dev.weir.testkit.VirtualDriver.Outcome;
import example.MyScheduler;
import java.util.List;
import java.util.Optional;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.Test;

/** The driver's own books, with schedulers that cheat. */
class VirtualDriverTest {
  private static final SchedulerConfig CONFIG =
      new SchedulerConfig(
          new KvCapacity(10, 4, 0),
          new BatchLimits(4, 16),
          Preemption.RECOMPUTE,
          new IterationCost(1, 0.5),
          Optional.empty(),
          SchedulerOptions.none());

  private static VirtualDriver driver(Scheduler scheduler) {
    return new VirtualDriver(scheduler, CONFIG, 1000, false);
  }

  /** Does something foul after it has planned. */
  private static MyScheduler foul(BiConsumer<MyScheduler, IterationPlan> deed) {
    return new MyScheduler(CONFIG) {
      @Override
      public void plan(IterationPlan plan) {
        super.plan(plan);
        deed.accept(this, plan);
      }
    };
  }

  @Test
  void aRunWorkedOutByHand() {
    // The prompt of 8 is 2 blocks and yields the first token; the second token takes a third block.
    Outcome outcome = driver(new MyScheduler(CONFIG)).run(List.of(Job.of(3, 8, 5, 2)));
    assertThat(outcome.iterations()).isEqualTo(2);
    assertThat(outcome.seconds()).isEqualTo(3 + (1 + 0.5 * 8) + (1 + 0.5 * 9));
    assertThat(outcome.completed()).isEqualTo(1);
    assertThat(outcome.outputTokens()).isEqualTo(2);
    assertThat(outcome.longestWaitSeconds()).isZero();
    assertThat(outcome.inArrivalOrder()).isTrue();
    assertThat(outcome.meanUtilisation() * outcome.seconds())
        .isCloseTo(0.2 * 5 + 0.3 * 5.5, within(1e-9));
  }

  @Test
  void aCancelledRequestIsGoneBeforeThePlanOfThatNumber() {
    Outcome outcome =
        driver(new MyScheduler(CONFIG))
            .run(List.of(new Job(0, 8, 5, 5, 2), Job.of(0, 4, 3, 3), new Job(0, 4, 3, 3, 9)));
    assertThat(outcome.cancelled()).isEqualTo(1);
    assertThat(outcome.completed()).isEqualTo(2);
    assertThat(outcome.outputTokens()).isEqualTo(6);
  }

  @Test
  void aSchedulerMustNotCommit() {
    assertFails(foul((s, plan) -> plan.commit()), "conservation: schedules 0 of 8 tokens");
  }

  @Test
  void aSchedulerMustNotFinishRequests() {
    assertFails(
        foul((s, plan) -> plan.request(0).finish()), "conservation: schedules 0 of 8 tokens");
  }

  @Test
  void aSchedulerMustNotMakeMemory() {
    MyScheduler greedy =
        new MyScheduler(CONFIG) {
          @Override
          public void plan(IterationPlan plan) {
            plan.begin(plan.now(), plan.memory().blocks(), 0);
            super.plan(plan);
          }
        };
    assertFails(greedy, "conservation: the plan says 8 blocks are free, by the driver's books 4");
  }

  @Test
  void aSchedulerMustNotInventRequests() {
    Request invented = new Request(7, 0, 4, 4, Request.UNKNOWN);
    assertFails(
        foul((s, plan) -> plan.schedule(invented, 4)), "conservation: schedules who never arrived");
  }

  @Test
  void holdsAreForThoseThatAreNotScheduled() {
    assertFails(
        foul((s, plan) -> plan.hold(plan.request(0), HoldReason.PACING)),
        "decision log: holds one that it schedules");
  }

  @Test
  void predictionsAreForThoseThatAreScheduled() {
    Request other = new Request(7, 0, 4, 4, Request.UNKNOWN);
    assertFails(
        foul((s, plan) -> plan.predictOverflow(other, 0.5)),
        "decision log: predicts for one it does not schedule");
  }

  @Test
  void aWakeUpNeedsATime() {
    assertFails(foul((s, plan) -> plan.wakeAt(Double.NaN)), "wake-up: asks at 0.0 s");
  }

  @Test
  void exceptionsAreKeptAsTheCause() {
    IllegalStateException cause = new IllegalStateException("oops");
    assertThatThrownBy(
            () ->
                driver(
                        foul(
                            (s, plan) -> {
                              throw cause;
                            }))
                    .run(List.of(Job.of(0, 8, 5, 2))))
        .isInstanceOf(AssertionError.class)
        .hasMessageContaining("plan() threw java.lang.IllegalStateException: oops at ")
        .hasCause(cause);
  }

  private static void assertFails(Scheduler scheduler, String message) {
    assertThatThrownBy(() -> driver(scheduler).run(List.of(Job.of(0, 8, 5, 2), Job.of(0, 8, 5, 5))))
        .isInstanceOf(AssertionError.class)
        .hasMessageContaining(message);
  }
}
