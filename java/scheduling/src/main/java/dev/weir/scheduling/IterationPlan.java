package dev.weir.scheduling;

import java.util.Arrays;
import java.util.Objects;

/**
 * One iteration, filled by a {@link Scheduler} and run by the driver. Allocated once and used again
 * for every iteration; filling it allocates nothing.
 *
 * <p>The plan is also the accountant: it projects the free blocks as the scheduler evicts, resumes
 * and schedules, and refuses what does not fit, so no plan can ask for more memory, tokens or
 * sequences than there are. The driver applies it in this order: {@link #evictionCount evictions},
 * {@link #resumedCount resumed requests} (swap-in), then one step over the {@link #size entries}.
 *
 * <p>Not thread-safe.
 */
public final class IterationPlan {
  private final KvCapacity memory;
  private final BatchLimits limits;
  private final Preemption preemption;

  private double now;
  private double wakeAt;
  private long freeBlocks;
  private long freeSwapBlocks;
  private int remainingTokens;

  private final Request[] requests;
  private int size;

  private Request[] evicted = new Request[16];
  private int evictedCount;
  private Request[] resumed = new Request[16];
  private int resumedCount;

  private Request[] held = new Request[16];
  private HoldReason[] holdReasons = new HoldReason[16];
  private int heldCount;

  private Request[] predicted = new Request[16];
  private double[] overflowProbabilities = new double[16];
  private int predictedCount;

  public IterationPlan(KvCapacity memory, BatchLimits limits, Preemption preemption) {
    this.memory = Objects.requireNonNull(memory, "memory");
    this.limits = Objects.requireNonNull(limits, "limits");
    this.preemption = Objects.requireNonNull(preemption, "preemption");
    this.requests = new Request[limits.maxSequences()];
  }

  // ---- for the driver

  /**
   * Empties the plan for the next iteration.
   *
   * @param now seconds
   * @param freeBlocks free blocks of the pool
   * @param freeSwapBlocks free blocks of the host swap space
   */
  public void begin(double now, long freeBlocks, long freeSwapBlocks) {
    if (freeBlocks < 0 || freeBlocks > memory.blocks()) {
      throw new IllegalArgumentException(
          "freeBlocks is " + freeBlocks + ", must be in 0.." + memory.blocks());
    }
    Arrays.fill(requests, 0, size, null);
    Arrays.fill(evicted, 0, evictedCount, null);
    Arrays.fill(resumed, 0, resumedCount, null);
    Arrays.fill(held, 0, heldCount, null);
    Arrays.fill(predicted, 0, predictedCount, null);
    size = 0;
    evictedCount = 0;
    resumedCount = 0;
    heldCount = 0;
    predictedCount = 0;
    this.now = now;
    this.wakeAt = Double.POSITIVE_INFINITY;
    this.freeBlocks = freeBlocks;
    this.freeSwapBlocks = freeSwapBlocks;
    this.remainingTokens = limits.maxTokens();
  }

  /**
   * The iteration has run: every scheduled request has its tokens in the cache, and one more
   * generated token if its input was complete.
   */
  public void commit() {
    for (int i = 0; i < size; i++) {
      requests[i].complete();
    }
  }

  /**
   * The iteration was not run, or failed: no request advances. Evictions and swaps are not undone.
   */
  public void abandon() {
    for (int i = 0; i < size; i++) {
      requests[i].abandon();
    }
  }

  /** Number of scheduled requests. */
  public int size() {
    return size;
  }

  /**
   * The {@code index}-th scheduled request; {@link Request#scheduledTokens()} says how many tokens
   * it computes.
   */
  public Request request(int index) {
    return requests[Objects.checkIndex(index, size)];
  }

  public int evictionCount() {
    return evictedCount;
  }

  /**
   * In the order of eviction. {@link Request#state()} tells how: SWAPPED, or WAITING (recompute).
   */
  public Request evicted(int index) {
    return evicted[Objects.checkIndex(index, evictedCount)];
  }

  public int resumedCount() {
    return resumedCount;
  }

  /** A request to swap in before the step. */
  public Request resumed(int index) {
    return resumed[Objects.checkIndex(index, resumedCount)];
  }

  public int heldCount() {
    return heldCount;
  }

  /** The decision log: a request that was not scheduled. */
  public Request held(int index) {
    return held[Objects.checkIndex(index, heldCount)];
  }

  public HoldReason holdReason(int index) {
    return holdReasons[Objects.checkIndex(index, heldCount)];
  }

  /** Number of admissions for which the scheduler predicted an overflow probability. */
  public int predictionCount() {
    return predictedCount;
  }

  /** The decision log: an admitted request with a prediction. */
  public Request predicted(int index) {
    return predicted[Objects.checkIndex(index, predictedCount)];
  }

  /** See {@link #predictOverflow}. */
  public double overflowProbability(int index) {
    return overflowProbabilities[Objects.checkIndex(index, predictedCount)];
  }

  /**
   * When the scheduler wants to be asked again although nothing arrives; positive infinity if it
   * does not.
   */
  public double wakeTime() {
    return wakeAt;
  }

  // ---- for the scheduler

  /** The time of this decision, in seconds. */
  public double now() {
    return now;
  }

  public KvCapacity memory() {
    return memory;
  }

  public BatchLimits limits() {
    return limits;
  }

  /** Blocks that would be free if the plan ended here. */
  public long freeBlocks() {
    return freeBlocks;
  }

  /** Tokens of the budget that are left. */
  public int remainingTokens() {
    return remainingTokens;
  }

  /** Sequences that may still be added. */
  public int remainingSequences() {
    return limits.maxSequences() - size;
  }

  /** Blocks that computing {@code tokens} more tokens for {@code request} takes from the pool. */
  public long blocksNeeded(Request request, int tokens) {
    long held =
        request.state() == RequestState.RESIDENT ? memory.blocksFor(request.cachedTokens()) : 0;
    int cached = request.state() == RequestState.WAITING ? 0 : request.cachedTokens();
    return memory.blocksFor((long) cached + tokens) - held;
  }

  /**
   * Schedules {@code tokens} of the pending tokens of a waiting or resident request, which thereby
   * becomes resident.
   *
   * @return false, with nothing changed, if the sequences, the token budget or the free blocks do
   *     not suffice
   * @throws IllegalStateException if the request is scheduled already, swapped out or finished
   * @throws IllegalArgumentException unless {@code 1 <= tokens <= request.pendingTokens()}
   */
  public boolean schedule(Request request, int tokens) {
    if (request.state() != RequestState.WAITING && request.state() != RequestState.RESIDENT) {
      throw new IllegalStateException("cannot schedule " + request);
    }
    if (request.scheduledTokens() > 0) {
      throw new IllegalStateException("scheduled already: " + request);
    }
    if (tokens < 1 || tokens > request.pendingTokens()) {
      throw new IllegalArgumentException(
          "tokens is " + tokens + ", must be in 1.." + request.pendingTokens() + " for " + request);
    }
    if (size == limits.maxSequences() || tokens > remainingTokens) {
      return false;
    }
    long needed = blocksNeeded(request, tokens);
    if (needed > freeBlocks) {
      return false;
    }
    freeBlocks -= needed;
    remainingTokens -= tokens;
    request.schedule(tokens);
    requests[size++] = request;
    return true;
  }

  /**
   * Takes the blocks of a resident request that is not scheduled in this plan: by swap if the plan
   * is configured so and the swap space has room, otherwise by recompute.
   *
   * @throws IllegalStateException if the request is not resident, is scheduled, or was resumed in
   *     this plan (the driver applies evictions before it resumes)
   */
  public void evict(Request request) {
    if (request.state() != RequestState.RESIDENT || request.scheduledTokens() > 0) {
      throw new IllegalStateException("cannot evict " + request);
    }
    for (int i = 0; i < resumedCount; i++) {
      if (resumed[i] == request) {
        throw new IllegalStateException("resumed in this very plan: " + request);
      }
    }
    long blocks = memory.blocksFor(request.cachedTokens());
    freeBlocks += blocks;
    if (preemption == Preemption.SWAP && blocks > 0 && blocks <= freeSwapBlocks) {
      freeSwapBlocks -= blocks;
      request.swapOut();
    } else {
      request.evict();
    }
    evicted = push(evicted, evictedCount++, request);
  }

  /**
   * Brings a swapped request back; it is resident from here on and can be scheduled.
   *
   * @return false, with nothing changed, if its blocks do not fit
   */
  public boolean resume(Request request) {
    if (request.state() != RequestState.SWAPPED) {
      throw new IllegalStateException("cannot resume " + request);
    }
    long blocks = memory.blocksFor(request.cachedTokens());
    if (blocks > freeBlocks) {
      return false;
    }
    for (int i = 0; i < evictedCount; i++) {
      if (evicted[i] == request) {
        throw new IllegalStateException("swapped out in this very plan: " + request);
      }
    }
    freeBlocks -= blocks;
    request.swapIn();
    resumed = push(resumed, resumedCount++, request);
    return true;
  }

  /**
   * Notes in the decision log why a request is not scheduled. Schedulers note the request that
   * would have been next; those queued behind it wait for the same reason.
   */
  public void hold(Request request, HoldReason reason) {
    if (heldCount == holdReasons.length) {
      holdReasons = Arrays.copyOf(holdReasons, 2 * heldCount);
    }
    holdReasons[heldCount] = Objects.requireNonNull(reason, "reason");
    held = push(held, heldCount++, request);
  }

  /**
   * Notes in the decision log what the scheduler expects of an admission.
   *
   * @param probability that the requests resident now, {@code request} among them, come to need
   *     more than the pool before they end, if nobody else is admitted; in [0, 1]
   */
  public void predictOverflow(Request request, double probability) {
    if (!(probability >= 0 && probability <= 1)) {
      throw new IllegalArgumentException("probability is " + probability + ", must be in 0..1");
    }
    if (predictedCount == overflowProbabilities.length) {
      overflowProbabilities = Arrays.copyOf(overflowProbabilities, 2 * predictedCount);
    }
    overflowProbabilities[predictedCount] = probability;
    predicted = push(predicted, predictedCount++, request);
  }

  /**
   * Asks the driver for another plan at {@code time} (seconds) at the latest, even if this one is
   * empty.
   */
  public void wakeAt(double time) {
    wakeAt = Math.min(wakeAt, time);
  }

  private static Request[] push(Request[] array, int index, Request request) {
    Request[] grown = index == array.length ? Arrays.copyOf(array, 2 * index) : array;
    grown[index] = request;
    return grown;
  }
}
