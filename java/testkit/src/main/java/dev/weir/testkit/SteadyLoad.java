package dev.weir.testkit;

import dev.weir.scheduling.Request;
import dev.weir.testkit.VirtualDriver.Job;
import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * As many requests at a time as are wanted: who departs is replaced at once, so that the load
 * neither starves nor floods a scheduler, however fast it is. Now and then there is a lull until
 * nobody is left.
 */
final class SteadyLoad implements Arrivals {
  private static final int LULLS = 10;
  private static final int REMEMBERED = 2000;

  private final int concurrency;
  private final int steps;
  private final int longestPrompt;
  private final int longestOutput;
  private final boolean cancel;
  private final Random random;

  private final List<WeakReference<Request>> departed = new ArrayList<>(REMEMBERED);
  private long heapAtHalf;
  private int lullEnds;
  private boolean lull;
  private boolean over;

  /**
   * @param steps plans after which nobody arrives any more
   * @param cancel whether one in eight is cancelled
   */
  SteadyLoad(
      int concurrency,
      int steps,
      int longestPrompt,
      int longestOutput,
      boolean cancel,
      Random random) {
    this.concurrency = concurrency;
    this.steps = steps;
    this.longestPrompt = longestPrompt;
    this.longestOutput = longestOutput;
    this.cancel = cancel;
    this.random = random;
    lullEnds = steps / LULLS;
  }

  @Override
  public Job next(double now, int alive, int iteration) {
    if (iteration >= steps) {
      over = true;
    }
    if (iteration >= lullEnds) {
      lull = alive > 0;
      lullEnds = lull ? lullEnds : lullEnds + steps / LULLS;
    }
    if (heapAtHalf == 0 && iteration >= steps / 2) {
      heapAtHalf = Heap.used();
    }
    if (over || lull || alive >= concurrency) {
      return null;
    }
    int output = 1 + random.nextInt(longestOutput);
    return new Job(
        now,
        1 + random.nextInt(longestPrompt),
        longestOutput,
        output,
        cancel && random.nextInt(8) == 0 ? iteration + random.nextInt(2 * output) : Job.NEVER);
  }

  @Override
  public double nextTime(double now, int alive) {
    return alive == 0 ? now : Double.POSITIVE_INFINITY;
  }

  @Override
  public boolean exhausted() {
    return over;
  }

  @Override
  public void departed(Request request) {
    if (departed.size() < REMEMBERED) {
      departed.add(new WeakReference<>(request));
    }
  }

  /** Bytes that the heap held half way, after a collection. */
  long heapAtHalf() {
    return heapAtHalf;
  }

  /** Requests of those that departed first. */
  int remembered() {
    return departed.size();
  }

  /** How many of the {@link #remembered} requests something still refers to. */
  long retained() {
    return departed.stream().filter(reference -> reference.get() != null).count();
  }
}
