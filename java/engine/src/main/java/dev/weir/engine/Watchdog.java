package dev.weir.engine;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;

/**
 * Sees to it that nobody waits for ever for a device that hangs.
 *
 * <p>The engine's thread cannot be interrupted within a call of the device, and nobody else may
 * touch its state. So that state changes hands: the thread says when it enters a call and when it
 * leaves, and as long as it is inside, the watchdog may take the state over, once and for good. A
 * thread that returns later finds that out when it leaves, and touches nothing any more. Both are
 * decided by one atomic variable.
 */
final class Watchdog {
  /** What {@link #leave} throws where the state is not the engine thread's any more. */
  static final class TakenOverException extends RuntimeException {
    private static final long serialVersionUID = 1;

    TakenOverException() {
      super("the watchdog has taken over", null, false, false);
    }
  }

  private static final long OUTSIDE = 0;
  private static final long TAKEN_OVER = 2;

  private static final long SHORTEST_PERIOD_NANOS = 1_000_000;
  private static final long LONGEST_PERIOD_NANOS = 1_000_000_000;

  /** {@link #OUTSIDE}, {@link #TAKEN_OVER}, or the time of the entry, made odd. */
  private final AtomicLong entered = new AtomicLong(OUTSIDE);

  private final Duration limit;
  private final Consumer<Duration> warn;
  private final Consumer<StepTimeoutException> takeOver;
  private volatile Thread thread;

  /** The last call that was warned of; the watchdog's thread alone uses it. */
  private long warned = OUTSIDE;

  /**
   * @param limit of one call; zero for none
   * @param warn called with half of the limit when a call has taken that long
   * @param takeOver fails everything that waits; called at most once, on the watchdog's thread
   */
  Watchdog(Duration limit, Consumer<Duration> warn, Consumer<StepTimeoutException> takeOver) {
    this.limit = limit;
    this.warn = warn;
    this.takeOver = takeOver;
  }

  /** Starts the thread, if there is a limit. */
  void start() {
    if (!limit.isZero()) {
      thread = Thread.ofPlatform().name("weir-watchdog").daemon(true).start(this::watch);
    }
  }

  /** Ends the thread. */
  void end() {
    Thread running = thread;
    if (running != null) {
      running.interrupt();
    }
  }

  /** For the engine's thread, before a call of the device. */
  void enter() {
    entered.set(System.nanoTime() | 1);
  }

  /**
   * For the engine's thread, after a call of the device.
   *
   * @throws TakenOverException if nothing of the engine may be touched any more, except to release
   *     the device
   */
  void leave() {
    long since = entered.get();
    if (since == TAKEN_OVER || !entered.compareAndSet(since, OUTSIDE)) {
      throw new TakenOverException();
    }
  }

  boolean tookOver() {
    return entered.get() == TAKEN_OVER;
  }

  /** Whether a call takes longer than half of the limit. */
  boolean stalled() {
    long since = entered.get();
    return since == TAKEN_OVER
        || (!limit.isZero() && overdue(since, System.nanoTime(), limit.toNanos() / 2));
  }

  private static boolean overdue(long since, long nanoTime, long nanos) {
    return since != OUTSIDE && nanoTime - since >= nanos;
  }

  private void watch() {
    long period = Math.clamp(limit.toNanos() / 8, SHORTEST_PERIOD_NANOS, LONGEST_PERIOD_NANOS);
    boolean tookOver = false;
    while (!tookOver) {
      try {
        Thread.sleep(Duration.ofNanos(period));
      } catch (InterruptedException _) {
        return;
      }
      tookOver = check(System.nanoTime());
    }
  }

  /** What the thread does now and then; true once it has taken over. */
  boolean check(long nanoTime) {
    long since = entered.get();
    if (overdue(since, nanoTime, limit.toNanos()) && entered.compareAndSet(since, TAKEN_OVER)) {
      takeOver.accept(new StepTimeoutException(limit));
      return true;
    }
    if (since != warned && overdue(since, nanoTime, limit.toNanos() / 2)) {
      warned = since;
      warn.accept(limit.dividedBy(2));
    }
    return false;
  }
}
