package dev.weir.engine;

import java.util.concurrent.CountDownLatch;

/**
 * Stops an engine after the next iteration that leaves a request running, so that a test knows what
 * is under way. (The iteration that completed the request of an earlier test may still be about to
 * report.)
 */
final class EngineGate implements EngineListener {
  private final CountDownLatch reached = new CountDownLatch(1);
  private final CountDownLatch opened = new CountDownLatch(1);

  @Override
  public void iteration(IterationEvent event) {
    if (event.running() > 0) {
      reached.countDown();
      await(opened);
    }
  }

  void awaitReached() {
    await(reached);
  }

  void open() {
    opened.countDown();
  }

  static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
