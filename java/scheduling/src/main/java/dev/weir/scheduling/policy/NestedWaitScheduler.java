package dev.weir.scheduling.policy;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.fluid.NestedWaitThresholds;
import java.util.Optional;
import java.util.function.ObjDoubleConsumer;

/**
 * Nested WAIT (arXiv 2504.11320) in the work-conserving mode of {@code scheduling.md} section 4.
 *
 * <p>Every resident that does not wait at the entrance of a segment advances in every iteration:
 * those that decode first, then prefill in chunks with what is left of the token budget, both in
 * order of arrival.
 *
 * <ul>
 *   <li>A resident that reaches a boundary waits at the entrance of the next segment, keeping its
 *       KV blocks. The entrance lets requests in while the segment is under its cap {@code n_k (b_k
 *       - b_{k-1})}, once {@code max(1, n_k)} wait, or one has waited for {@code maxHold}, or the
 *       batch would be under-filled.
 *   <li>The entrance of segment 1 does the same, and lets in no more requests an iteration than
 *       fill the core memory in equilibrium ({@link NestedWaitThresholds#admissionsPerIteration}
 *       times {@code pace}; fractions are carried over), each only if its prompt fits into the pool
 *       less the safety buffer. The pace is what the threshold of each stage does in the strict
 *       policy: without it, requests that find an empty pool grow in step and peak together.
 *   <li>An under-filled batch opens entrances whose segments are at their caps, too. The thresholds
 *       count nobody as leaving inside a segment, so the caps alone would leave memory unused, and
 *       a paused resident yields nothing.
 *   <li>None of this holds anybody while memory is not scarce: while the pool less the buffer has
 *       room for every resident at its longest (the last boundary, or what it has come to beyond
 *       that), requests enter at once. Those who follow when memory has become scarce wait until
 *       the pace has caught up with the free entrants that are still there.
 * </ul>
 *
 * <p>When thresholds do not help (the workload is not what was declared) and a resident finds no
 * free block, the youngest that has not yet advanced is evicted, but never one older than the
 * request in need; nobody is admitted in that iteration. Should nobody find a block, the oldest
 * resident leaves the entrance at which it is paused and evicts for its own. Evicted requests go
 * back to their place in the order of arrival. So the oldest request that is not finished always
 * advances in the end: it is admitted first, is never evicted, and can evict all others.
 *
 * <p>The declared lengths determine boundaries, caps, buffer and pace. The declared rate and the
 * {@link IterationCost} determine which thresholds are admissible ({@link NestedWaitThresholds}),
 * and the gauges {@code stable}, {@code stability_margin} and {@code sustainable_rate}. A load
 * above that rate is served with the same thresholds; it queues.
 *
 * <p>With no {@link Workload} there are no thresholds. The prior is the declared maximum output of
 * each request: one is admitted only if every resident fits at its longest. That is safe (it never
 * evicts) and slow.
 */
final class NestedWaitScheduler implements Scheduler {
  /** Admissions that may be saved up, so that a short lull does not cost throughput. */
  private static final double BURST = 2;

  private static final class Node extends RequestQueue.Node {
    /** Index of the segment it is in, or before which it is paused. */
    int segment;

    boolean paused;
    double pausedSince;

    /** Blocks it holds when it reaches the last boundary, or already needs beyond that. */
    long longestBlocks;

    Node(Request request, long order) {
      super(request, order);
    }
  }

  private final KvCapacity memory;
  private final int maxSequences;
  private final double maxHold;

  private final Optional<NestedWaitThresholds> computed;
  private final int segments;
  private final int[] boundaries;
  private final double[] thresholds;
  private final double[] caps;
  private final long bufferBlocks;
  private final double admissionsPerIteration;
  private final double fullBatch;

  private final RequestQueue waiting = new RequestQueue();
  private final RequestQueue swapped = new RequestQueue();

  /** In order of arrival. */
  private final Node[] residents;

  private int residentCount;

  /** Residents in each segment that are not paused. */
  private final int[] occupancy;

  /** Residents paused before each segment. */
  private final int[] paused;

  private int running;
  private long longestBlocks;

  /**
   * Admissions that the pace allows. Negative after requests have entered freely, so that those who
   * follow keep their distance from that cohort; but a request that has left is not held against
   * anybody, so it is at least minus the number of residents.
   */
  private double credit;

  private long arrivals;

  private final String[] occupancyNames;
  private final String[] pausedNames;
  private final String[] capNames;
  private final String[] thresholdNames;

  NestedWaitScheduler(
      KvCapacity memory,
      BatchLimits limits,
      Optional<NestedWaitThresholds> computed,
      double maxHold,
      double fill,
      double pace) {
    this.memory = memory;
    this.maxSequences = limits.maxSequences();
    this.maxHold = maxHold;
    this.computed = computed;
    segments = computed.map(NestedWaitThresholds::segments).orElse(1);
    boundaries = new int[segments];
    thresholds = new double[segments];
    caps = new double[segments];
    occupancyNames = new String[segments];
    pausedNames = new String[segments];
    capNames = new String[segments];
    thresholdNames = new String[segments];
    for (int k = 0; k < segments; k++) {
      int segment = k + 1;
      boundaries[k] = computed.map(t -> t.boundary(segment)).orElse(Integer.MAX_VALUE);
      thresholds[k] = computed.map(t -> t.threshold(segment)).orElse(0.0);
      caps[k] = computed.map(t -> t.occupancyCap(segment)).orElse(Double.POSITIVE_INFINITY);
      occupancyNames[k] = "segment_occupancy{segment=\"" + segment + "\"}";
      pausedNames[k] = "segment_waiting{segment=\"" + segment + "\"}";
      capNames[k] = "segment_capacity{segment=\"" + segment + "\"}";
      thresholdNames[k] = "segment_threshold{segment=\"" + segment + "\"}";
    }
    bufferBlocks =
        computed.map(t -> (long) Math.ceil(t.bufferTokens() / memory.blockSize())).orElse(0L);
    admissionsPerIteration =
        pace * computed.map(NestedWaitThresholds::admissionsPerIteration).orElse(0.0);
    fullBatch =
        Math.clamp(
            fill * computed.map(NestedWaitThresholds::expectedRunning).orElse(0.0),
            1,
            maxSequences);
    credit = Math.max(BURST, admissionsPerIteration);
    residents = new Node[maxSequences];
    occupancy = new int[segments];
    paused = new int[segments];
  }

  @Override
  public void arrived(Request request, double now) {
    memory.requireFits(request);
    Node node = new Node(request, arrivals++);
    request.setSchedulerState(node);
    waiting.append(node);
  }

  @Override
  public void departed(Request request, double now) {
    Node node = (Node) request.schedulerState();
    if (node.queue() != null) {
      node.queue().remove(node);
    } else {
      removeResident(indexOf(node));
    }
  }

  @Override
  public void plan(IterationPlan plan) {
    credit = Math.max(credit, -residentCount);
    credit = Math.min(credit + admissionsPerIteration, Math.max(BURST, admissionsPerIteration));
    pauseAtBoundaries(plan.now());
    followTheLongest();
    enterSegments(plan);
    decode(plan);
    prefill(plan);
    if (plan.size() == 0 && residentCount > 0) {
      advanceTheOldest(plan);
    }
    if (plan.evictionCount() > 0) {
      plan.hold(next().request, HoldReason.MEMORY);
      return;
    }
    admit(plan);
  }

  private Node next() {
    return (Node) (swapped.first() != null ? swapped.first() : waiting.first());
  }

  private void pauseAtBoundaries(double now) {
    for (int i = 0; i < residentCount; i++) {
      Node node = residents[i];
      if (!node.paused
          && node.segment + 1 < segments
          && node.request.generatedTokens() >= boundaries[node.segment]) {
        occupancy[node.segment]--;
        running--;
        node.segment++;
        paused[node.segment]++;
        node.paused = true;
        node.pausedSince = now;
      }
    }
  }

  /** Residents that generate more than the workload declares need more than was reckoned with. */
  private void followTheLongest() {
    for (int i = 0; i < residentCount; i++) {
      Node node = residents[i];
      if (node.request.generatedTokens() >= boundaries[segments - 1]) {
        long longest = longestBlocks(node.request);
        longestBlocks += longest - node.longestBlocks;
        node.longestBlocks = longest;
      }
    }
  }

  private void enterSegments(IterationPlan plan) {
    boolean scarce = longestBlocks > memory.blocks() - bufferBlocks;
    for (int k = segments - 1; k > 0; k--) {
      if (paused[k] == 0) {
        continue;
      }
      boolean enough = paused[k] >= thresholds[k] || longestWait(k, plan.now()) > maxHold;
      for (int i = 0; i < residentCount; i++) {
        Node node = residents[i];
        if (!node.paused || node.segment != k) {
          continue;
        }
        boolean underFilled = running < fullBatch;
        if (!scarce || underFilled || (enough && occupancy[k] < caps[k])) {
          enter(node);
        } else {
          plan.hold(node.request, enough ? HoldReason.SEGMENT_FULL : HoldReason.THRESHOLD);
          break;
        }
      }
    }
  }

  private double longestWait(int segment, double now) {
    double longest = 0;
    for (int i = 0; i < residentCount; i++) {
      if (residents[i].paused && residents[i].segment == segment) {
        longest = Math.max(longest, now - residents[i].pausedSince);
      }
    }
    return longest;
  }

  private void enter(Node node) {
    paused[node.segment]--;
    node.paused = false;
    occupancy[node.segment]++;
    running++;
  }

  private void decode(IterationPlan plan) {
    for (int i = 0; i < residentCount && plan.remainingTokens() > 0; i++) {
      Node node = residents[i];
      if (!node.paused && node.request.isDecoding()) {
        advance(plan, i, 1);
      }
    }
  }

  private void prefill(IterationPlan plan) {
    for (int i = 0; i < residentCount && plan.remainingTokens() > 0; i++) {
      Node node = residents[i];
      if (!node.paused && !node.request.isDecoding()) {
        advance(plan, i, Math.min(node.request.pendingTokens(), plan.remainingTokens()));
      }
    }
  }

  private void advance(IterationPlan plan, int index, int tokens) {
    Request request = residents[index].request;
    while (!plan.schedule(request, tokens)) {
      int victim = youngestUnscheduled(index);
      if (victim < 0) {
        plan.hold(request, HoldReason.MEMORY);
        return;
      }
      evict(plan, victim);
    }
  }

  /**
   * Those that run found no block, because residents that are paused and older hold the memory. The
   * buffer is there to prevent that, but rests on declared lengths; and the driver does not ask
   * again before something arrives, so somebody must advance now.
   */
  private void advanceTheOldest(IterationPlan plan) {
    enter(residents[0]);
    Request oldest = residents[0].request;
    advance(plan, 0, Math.min(oldest.pendingTokens(), plan.remainingTokens()));
  }

  /** Index of the youngest resident after {@code index} that has not yet advanced, or -1. */
  private int youngestUnscheduled(int index) {
    for (int i = residentCount - 1; i > index; i--) {
      if (residents[i].request.scheduledTokens() == 0) {
        return i;
      }
    }
    return -1;
  }

  private void evict(IterationPlan plan, int index) {
    Node node = residents[index];
    removeResident(index);
    plan.evict(node.request);
    (node.request.state() == RequestState.SWAPPED ? swapped : waiting).insert(node);
  }

  private void admit(IterationPlan plan) {
    long promised = promisedBlocks(plan);
    boolean fires =
        waiting.size() >= thresholds[0]
            || (waiting.first() != null
                && plan.now() - waiting.first().request.arrivalTime() > maxHold);
    for (Node node = next(); node != null; node = next()) {
      Request request = node.request;
      long needed = memory.blocksFor((long) request.promptTokens() + request.generatedTokens());
      long longest = longestBlocks(request);
      boolean scarce =
          residentCount > 0 && longestBlocks + longest > memory.blocks() - bufferBlocks;
      HoldReason reason =
          obstacle(plan, node, plan.freeBlocks() - promised - needed, scarce, fires);
      if (reason != null) {
        plan.hold(request, reason);
        return;
      }
      if (request.state() == RequestState.SWAPPED) {
        plan.resume(request);
      }
      int tokens = Math.min(request.pendingTokens(), plan.remainingTokens());
      if (!plan.schedule(request, tokens)) {
        throw new IllegalStateException("refused although it fits: " + request);
      }
      promised += needed - memory.blocksFor((long) request.cachedTokens() + tokens);
      node.queue().remove(node);
      addResident(node, longest);
      credit--;
    }
  }

  /**
   * Why a request may not enter now, or null if it may. {@code left} is what would be free with its
   * whole prompt, {@code scarce} says whether thresholds and pace hold for it, and {@code fires}
   * whether those at the entrance of segment 1 need not wait for more.
   */
  private HoldReason obstacle(
      IterationPlan plan, Node node, long left, boolean scarce, boolean fires) {
    if (residentCount + swapped.size() - (node.queue() == swapped ? 1 : 0) >= maxSequences) {
      return HoldReason.SEQUENCE_LIMIT;
    }
    if (plan.remainingTokens() == 0) {
      return HoldReason.TOKEN_BUDGET;
    }
    if (left < 0) {
      return HoldReason.MEMORY;
    }
    if (!scarce) {
      return null;
    }
    if (computed.isEmpty() || left < bufferBlocks) {
      return HoldReason.MEMORY_BUFFER;
    }
    int segment = segmentOf(node.request);
    if (occupancy[segment] >= caps[segment] && running >= fullBatch) {
      return HoldReason.SEGMENT_FULL;
    }
    if (credit < 1) {
      return HoldReason.PACING;
    }
    // One that was evicted has waited for others before.
    boolean released = fires || running < fullBatch || node.request.evictions() > 0;
    return released ? null : HoldReason.THRESHOLD;
  }

  /** Blocks that residents still take to complete their prompts. */
  private long promisedBlocks(IterationPlan plan) {
    long blocks = 0;
    for (int i = 0; i < residentCount; i++) {
      Request request = residents[i].request;
      int left = request.pendingTokens() - request.scheduledTokens();
      if (left > 0 && !residents[i].paused) {
        long known = (long) request.cachedTokens() + request.scheduledTokens();
        blocks += memory.blocksFor(known + left) - memory.blocksFor(known);
      }
    }
    return blocks;
  }

  private long longestBlocks(Request request) {
    int lastStage = Math.max(boundaries[segments - 1], request.generatedTokens() + 1);
    return memory.blocksFor(
        request.promptTokens() + Math.min(request.maxOutputTokens(), lastStage) - 1L);
  }

  private int segmentOf(Request request) {
    int segment = 0;
    while (segment + 1 < segments && request.generatedTokens() >= boundaries[segment]) {
      segment++;
    }
    return segment;
  }

  private void addResident(Node node, long longest) {
    int index = residentCount++;
    while (index > 0 && residents[index - 1].order > node.order) {
      residents[index] = residents[index - 1];
      index--;
    }
    residents[index] = node;
    node.segment = segmentOf(node.request);
    node.paused = false;
    node.longestBlocks = longest;
    longestBlocks += longest;
    occupancy[node.segment]++;
    running++;
  }

  private void removeResident(int index) {
    Node node = residents[index];
    residentCount--;
    System.arraycopy(residents, index + 1, residents, index, residentCount - index);
    residents[residentCount] = null;
    longestBlocks -= node.longestBlocks;
    if (node.paused) {
      paused[node.segment]--;
    } else {
      occupancy[node.segment]--;
      running--;
    }
  }

  private int indexOf(Node node) {
    for (int i = 0; i < residentCount; i++) {
      if (residents[i] == node) {
        return i;
      }
    }
    throw new IllegalStateException("unknown request: " + node.request);
  }

  @Override
  public void gauges(ObjDoubleConsumer<String> sink) {
    sink.accept("waiting", waiting.size());
    sink.accept("running", running);
    sink.accept("swapped", swapped.size());
    sink.accept("safety_buffer_blocks", bufferBlocks);
    sink.accept("longest_blocks", longestBlocks);
    if (computed.isPresent()) {
      NestedWaitThresholds t = computed.get();
      sink.accept("admission_credit", credit);
      sink.accept("stable", t.isStable() ? 1 : 0);
      sink.accept("stability_margin", t.stabilityMargin());
      sink.accept("sustainable_rate", t.sustainableRate());
      sink.accept("cycle_seconds", t.cycleSeconds());
      sink.accept("iteration_seconds", t.iterationSeconds());
    }
    for (int k = 0; k < segments; k++) {
      sink.accept(occupancyNames[k], occupancy[k]);
      sink.accept(pausedNames[k], paused[k]);
      if (computed.isPresent()) {
        sink.accept(capNames[k], caps[k]);
        sink.accept(thresholdNames[k], thresholds[k]);
      }
    }
  }
}
