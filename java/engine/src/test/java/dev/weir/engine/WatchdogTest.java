package dev.weir.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.Queue;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class WatchdogTest {
  private final AtomicInteger takeovers = new AtomicInteger();
  private final Queue<Duration> warnings = new ConcurrentLinkedQueue<>();

  private Watchdog watchdog(Duration limit) {
    return new Watchdog(limit, warnings::add, _ -> takeovers.incrementAndGet());
  }

  @Test
  void aCallIsStalledAfterHalfOfTheLimitAndNotAfterItsEnd() {
    Watchdog watchdog = watchdog(Duration.ofNanos(2)); // and nobody who would take over
    assertThat(watchdog.stalled()).isFalse();
    for (int i = 0; i < 3; i++) {
      watchdog.enter();
      while (!watchdog.stalled()) {
        Thread.onSpinWait();
      }
      watchdog.leave();
      assertThat(watchdog.stalled()).isFalse();
    }
    assertThat(watchdog.tookOver()).isFalse();
  }

  @Test
  void withoutALimitNothingIsStalled() {
    Watchdog watchdog = watchdog(Duration.ZERO);
    watchdog.start();
    watchdog.enter();
    assertThat(watchdog.stalled()).isFalse();
    watchdog.leave();
    watchdog.end();
    assertThat(takeovers).hasValue(0);
  }

  @Test
  void whoReturnsTooLateIsTold() throws InterruptedException {
    Watchdog watchdog = watchdog(Duration.ofMillis(1));
    watchdog.start();
    watchdog.enter();
    while (takeovers.get() == 0) {
      Thread.onSpinWait();
    }
    assertThat(watchdog.stalled()).isTrue();
    assertThatThrownBy(watchdog::leave).isInstanceOf(Watchdog.TakenOverException.class);
    assertThatThrownBy(watchdog::leave).isInstanceOf(Watchdog.TakenOverException.class);
    assertThat(watchdog.tookOver()).isTrue();
    assertThat(takeovers).hasValue(1);
  }

  @Test
  void aCallThatTakesLongIsWarnedOfOnce() {
    Watchdog watchdog = watchdog(Duration.ofSeconds(60).plusNanos(2));
    watchdog.enter();
    long now = System.nanoTime();
    assertThat(watchdog.check(now + Duration.ofSeconds(29).toNanos())).isFalse();
    assertThat(warnings).isEmpty();
    assertThat(watchdog.check(now + Duration.ofSeconds(31).toNanos())).isFalse();
    assertThat(watchdog.check(now + Duration.ofSeconds(59).toNanos())).isFalse();
    assertThat(warnings).containsExactly(Duration.ofSeconds(30).plusNanos(1));
    watchdog.leave();
    assertThat(watchdog.check(now + Duration.ofSeconds(100).toNanos())).isFalse();
    watchdog.enter();
    assertThat(watchdog.check(System.nanoTime() + Duration.ofSeconds(61).toNanos())).isTrue();
    assertThat(takeovers).hasValue(1);
  }

  /** Calls take about as long as the limit, so that both sides decide at the same moment. */
  @Test
  void eitherTheCallReturnsOrTheWatchdogTakesOver() {
    SplittableRandom random = new SplittableRandom(1);
    int returned = 0;
    int taken = 0;
    for (int round = 0; round < 200; round++) {
      AtomicInteger ownTakeovers = new AtomicInteger();
      Watchdog watchdog =
          new Watchdog(
              Duration.ofNanos(1_500_000), warnings::add, _ -> ownTakeovers.incrementAndGet());
      watchdog.start();
      watchdog.enter();
      LockSupport.parkNanos(random.nextInt(1_000_000, 2_500_000));
      try {
        watchdog.leave();
        watchdog.end();
        assertThat(ownTakeovers).hasValue(0);
        assertThat(watchdog.tookOver()).isFalse();
        returned++;
      } catch (Watchdog.TakenOverException _) {
        while (ownTakeovers.get() == 0) {
          Thread.onSpinWait();
        }
        taken++;
      }
    }
    assertThat(returned + taken).isEqualTo(200);
  }
}
