package dev.weir.engine;

import java.util.ArrayDeque;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * What other threads tell the engine's thread: requests, cancellations and the wish to close.
 * Submitting and refusing are one atomic step, so no request can slip in behind the end of the
 * engine.
 */
final class Mailbox {
  private final int queueCapacity;
  private final AtomicInteger queued = new AtomicInteger();

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition mail = lock.newCondition();
  // Guarded by lock.
  private final ArrayDeque<ActiveRequest> submissions = new ArrayDeque<>();
  private final ArrayDeque<Generation> cancellations = new ArrayDeque<>();
  private boolean closeChanged;
  private long cancelAtNanos;

  private volatile EngineState state = EngineState.RUNNING;
  private volatile Throwable failure;

  Mailbox(int queueCapacity) {
    this.queueCapacity = queueCapacity;
  }

  EngineState state() {
    return state;
  }

  /** Why the engine failed; null if it did not. */
  Throwable failure() {
    return failure;
  }

  /** Accepted requests that have not been part of an iteration yet. */
  int queued() {
    return queued.get();
  }

  /**
   * @throws RejectedRequestException if nothing is accepted any more, or the queue is full
   */
  void checkAccepting() {
    switch (state) {
      case RUNNING -> {}
      case DRAINING, CLOSED ->
          throw new RejectedRequestException(
              RejectionReason.CLOSED, "the engine is " + state.name().toLowerCase(Locale.ROOT));
      case FAILED ->
          throw new RejectedRequestException(
              RejectionReason.ENGINE_FAILED, "the engine has failed: " + failure, failure);
    }
    if (queued.get() >= queueCapacity) {
      throw new RejectedRequestException(
          RejectionReason.QUEUE_FULL,
          queued.get()
              + " requests are waiting already, the limit is "
              + queueCapacity
              + " (queueCapacity)");
    }
  }

  void submit(ActiveRequest request) {
    lock.lock();
    try {
      checkAccepting();
      queued.incrementAndGet();
      submissions.add(request);
      mail.signal();
    } finally {
      lock.unlock();
    }
  }

  void cancel(Generation generation) {
    lock.lock();
    try {
      if (state == EngineState.RUNNING || state == EngineState.DRAINING) {
        cancellations.add(generation);
        mail.signal();
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * Stops accepting; what is not complete at {@code cancelAtNanos} is to be cancelled. The earliest
   * wish counts.
   */
  void close(long cancelAtNanos) {
    lock.lock();
    try {
      if (state == EngineState.RUNNING) {
        state = EngineState.DRAINING;
        this.cancelAtNanos = cancelAtNanos;
      } else if (state == EngineState.DRAINING && cancelAtNanos - this.cancelAtNanos < 0) {
        this.cancelAtNanos = cancelAtNanos;
      }
      closeChanged = true;
      mail.signal();
    } finally {
      lock.unlock();
    }
  }

  // ---- for the engine's thread

  void started() {
    queued.decrementAndGet();
  }

  /** Moves what has come in to the end of these queues. */
  void collect(ArrayDeque<ActiveRequest> submitted, ArrayDeque<Generation> cancelled) {
    lock.lock();
    try {
      move(submissions, submitted);
      move(cancellations, cancelled);
      closeChanged = false;
    } finally {
      lock.unlock();
    }
  }

  private static <T> void move(ArrayDeque<T> from, ArrayDeque<T> to) {
    for (T mail = from.poll(); mail != null; mail = from.poll()) {
      to.add(mail);
    }
  }

  /** Sleeps until there is mail, but not longer than {@code nanos}. */
  void await(long nanos) {
    lock.lock();
    try {
      long left = nanos;
      while (left > 0 && submissions.isEmpty() && cancellations.isEmpty() && !closeChanged) {
        left = mail.awaitNanos(left);
      }
    } catch (InterruptedException _) {
      // Nobody has a reason to interrupt the engine's thread; an iteration more does no harm.
    } finally {
      lock.unlock();
    }
  }

  /**
   * Nanoseconds until everything is to be cancelled; {@link Long#MAX_VALUE} if the engine is not
   * closing.
   */
  long nanosUntilCancel(long nanoTime) {
    lock.lock();
    try {
      return state == EngineState.DRAINING ? cancelAtNanos - nanoTime : Long.MAX_VALUE;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Ends the engine if it is closing and every submission was collected. One step, because a
   * request may be accepted at any time before the wish to close.
   */
  boolean closeIfEmpty() {
    lock.lock();
    try {
      if (state != EngineState.DRAINING || !submissions.isEmpty()) {
        return false;
      }
      state = EngineState.CLOSED;
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** Nothing is accepted from here on, and nothing that was accepted waits any more. */
  void terminate(Throwable failure) {
    lock.lock();
    try {
      this.failure = failure;
      state = EngineState.FAILED;
      queued.set(0);
    } finally {
      lock.unlock();
    }
  }
}
