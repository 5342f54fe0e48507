package dev.weir.engine;

import java.util.Arrays;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Wakes the readers of generations that have a new token, on a thread of its own: to wake a thread
 * costs a microsecond or more, and the engine's thread has dozens of readers in each iteration.
 */
final class ReaderWaker {
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition arrived = lock.newCondition();
  // Guarded by lock.
  private Generation[] waiting = new Generation[16];
  private int count;
  private boolean ended;
  private Throwable failure;

  /** Starts the thread, which runs until {@link #end}. */
  void start() {
    Thread.ofPlatform()
        .name("weir-waker")
        .daemon(true)
        .start(
            () -> {
              try {
                run();
              } catch (Throwable t) { // such as no memory for the thread of a subscriber
                fail(t);
              }
            });
  }

  /**
   * Wakes the readers of the first {@code count} of these, soon. For the engine's thread.
   *
   * @throws IllegalStateException if the thread has failed, so that readers would wait in vain
   */
  void wake(Generation[] generations, int count) {
    lock.lock();
    try {
      if (failure != null) {
        throw new IllegalStateException("readers cannot be woken", failure);
      }
      if (this.count + count > waiting.length) {
        waiting = Arrays.copyOf(waiting, 2 * (this.count + count));
      }
      System.arraycopy(generations, 0, waiting, this.count, count);
      this.count += count;
      arrived.signal();
    } finally {
      lock.unlock();
    }
  }

  /** Ends the thread when it has woken everybody. */
  void end() {
    lock.lock();
    try {
      ended = true;
      arrived.signal();
    } finally {
      lock.unlock();
    }
  }

  private void fail(Throwable cause) {
    lock.lock();
    try {
      failure = cause;
    } finally {
      lock.unlock();
    }
  }

  private void run() {
    Generation[] taken = new Generation[16];
    while (true) {
      int number;
      lock.lock();
      try {
        while (count == 0 && !ended) {
          arrived.awaitUninterruptibly();
        }
        if (count == 0) {
          return;
        }
        Generation[] free = taken;
        taken = waiting;
        number = count;
        waiting = free;
        count = 0;
      } finally {
        lock.unlock();
      }
      for (int i = 0; i < number; i++) {
        taken[i].wakeReaders();
        taken[i] = null;
      }
    }
  }
}
