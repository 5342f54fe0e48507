package dev.weir.scheduling.policy;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.fluid.WaitThresholds;
import java.util.Arrays;
import java.util.Optional;
import java.util.function.ObjDoubleConsumer;
import java.util.stream.IntStream;

/**
 * WAIT (arXiv 2504.11320) in a work-conserving mode. It knows output lengths at arrival: {@link
 * WaitClassifier}.
 *
 * <p>Every resident advances in every iteration: those that decode first, then prefill in chunks
 * with what is left of the token budget, both in order of arrival. A class lets requests in, in
 * order of arrival, while it has fewer than {@code n_j (l'_j + 1)} residents, once {@code max(1,
 * n_j)} wait, or one has waited for {@code maxHold}, or the batch would be under-filled. All
 * classes together let in no more requests an iteration than {@code sum_j n_j} times {@code pace};
 * fractions are carried over. Without that, requests that find an empty pool grow in step and peak
 * together. An under-filled batch opens classes that are at their caps, too: the mix of a while is
 * not that of the workload.
 *
 * <p>As lengths are known, memory is looked up, not estimated: a request enters if it and all
 * residents fit at each of their ends to come, provided that each advances in each iteration. So
 * nobody is evicted, unless the token budget holds residents up. Then the youngest that has not yet
 * advanced makes room, but never one older than the request in need, and nobody is admitted in that
 * iteration. Evicted requests go back to their place in the order of arrival. A request for which
 * there is no memory keeps all others out that came later, whatever their class.
 *
 * <p>None of the thresholds holds anybody while memory is not scarce: while the pool has room for
 * every resident at its end, requests enter at once. As the last ones leave, that becomes so, and
 * everything drains. Nobody is left behind: the oldest waiting request passes all others when its
 * class has room or the batch is under-filled, and {@code maxHold} bounds its wait for company.
 *
 * <p>With no {@link dev.weir.scheduling.Workload} there are no thresholds, and only the memory
 * decides.
 */
final class WaitScheduler implements Scheduler {
  /** Admissions that may be saved up, so that a short lull does not cost throughput. */
  private static final int BURST = 8;

  private static final class Node extends RequestQueue.Node {
    final int requestClass;
    final int outputTokens;

    /** Blocks it holds at its end. */
    final long longestBlocks;

    Node(Request request, long order, int requestClass, int outputTokens, long longestBlocks) {
      super(request, order);
      this.requestClass = requestClass;
      this.outputTokens = outputTokens;
      this.longestBlocks = longestBlocks;
    }

    /** Iterations to its end, if it advances in each. */
    int remaining() {
      return Math.max(1, outputTokens - request.generatedTokens());
    }

    /** Tokens it holds after {@code h} iterations, less {@code h}. */
    int base() {
      return request.promptTokens() + request.generatedTokens() - 1;
    }
  }

  private final KvCapacity memory;
  private final int maxSequences;
  private final double maxHold;

  private final Optional<WaitThresholds> computed;
  private final Optional<WaitClassifier> classifier;
  private final int classes;
  private final double[] thresholds;
  private final double[] caps;
  private final AdmissionPacer pacer = new AdmissionPacer(BURST);
  private final double fullBatch;
  private final String[] occupancyNames;
  private final String[] waitingNames;
  private final String[] capNames;
  private final String[] thresholdNames;

  private final RequestQueue[] waiting;
  private final RequestQueue swapped = new RequestQueue();

  /** In order of arrival. */
  private final RunningRequests<Node> residents;

  /** The residents again, the last one to end first, as of the last time it was sorted. */
  private final Node[] byEnd;

  /** Residents of each class. */
  private final int[] occupancy;

  /** Classes whose waiting requests need not wait for more, in this plan. */
  private final boolean[] fires;

  /** How many of the requests looked at leave how many tokens in their last block. */
  private final int[] residues;

  private long longestBlocks;
  private long arrivals;

  /**
   * @param maxHold seconds
   * @param fill a batch with less than this share of the requests in equilibrium is under-filled
   * @param pace admissions an iteration, relative to those in equilibrium
   */
  WaitScheduler(
      KvCapacity memory,
      BatchLimits limits,
      Optional<WaitThresholds> computed,
      double maxHold,
      double fill,
      double pace) {
    this.memory = memory;
    this.maxSequences = limits.maxSequences();
    this.maxHold = maxHold;
    this.computed = computed;
    classifier = computed.map(WaitClassifier::new);
    classes = computed.map(WaitThresholds::size).orElse(1);
    thresholds = new double[classes];
    caps = new double[classes];
    occupancyNames = new String[classes];
    waitingNames = new String[classes];
    capNames = new String[classes];
    thresholdNames = new String[classes];
    for (int j = 0; j < classes; j++) {
      int index = j;
      thresholds[j] = computed.map(t -> t.threshold(index)).orElse(0.0);
      caps[j] = computed.map(t -> t.occupancyCap(index)).orElse(Double.POSITIVE_INFINITY);
      String label =
          "{class=\"" + computed.map(t -> WaitFactory.label(t, index)).orElse("all") + "\"}";
      occupancyNames[j] = "class_occupancy" + label;
      waitingNames[j] = "class_waiting" + label;
      capNames[j] = "class_capacity" + label;
      thresholdNames[j] = "class_threshold" + label;
    }
    computed.ifPresent(t -> pacer.setPace(pace * t.admissionsPerIteration()));
    fullBatch =
        Math.clamp(fill * computed.map(WaitThresholds::sequences).orElse(0.0), 1, maxSequences);
    waiting =
        IntStream.range(0, classes).mapToObj(_ -> new RequestQueue()).toArray(RequestQueue[]::new);
    residents = new RunningRequests<>(maxSequences);
    byEnd = new Node[maxSequences];
    occupancy = new int[classes];
    fires = new boolean[classes];
    residues = new int[memory.blockSize()];
  }

  @Override
  public void arrived(Request request, double now) {
    memory.requireFits(request);
    int output = WaitClassifier.outputTokens(request);
    Node node =
        new Node(
            request,
            arrivals++,
            classifier.isEmpty() ? 0 : classifier.get().applyAsInt(request),
            output,
            memory.blocksFor((long) request.promptTokens() + output - 1));
    request.setSchedulerState(node);
    waiting[node.requestClass].append(node);
  }

  @Override
  public void departed(Request request, double now) {
    Node node = (Node) request.schedulerState();
    if (node.queue() != null) {
      node.queue().remove(node);
    } else {
      removeResident(node);
    }
  }

  @Override
  public void plan(IterationPlan plan) {
    pacer.tick();
    decode(plan);
    prefill(plan);
    if (plan.evictionCount() > 0) {
      Node next = swapped.first() != null ? (Node) swapped.first() : oldestWaiting();
      plan.hold(next.request, HoldReason.MEMORY);
      return;
    }
    admit(plan);
  }

  private void decode(IterationPlan plan) {
    for (int i = 0; i < residents.size() && plan.remainingTokens() > 0; i++) {
      if (residents.get(i).request.isDecoding()) {
        advance(plan, i, 1);
      }
    }
  }

  private void prefill(IterationPlan plan) {
    for (int i = 0; i < residents.size() && plan.remainingTokens() > 0; i++) {
      Request request = residents.get(i).request;
      if (!request.isDecoding()) {
        advance(plan, i, Math.min(request.pendingTokens(), plan.remainingTokens()));
      }
    }
  }

  private void advance(IterationPlan plan, int index, int tokens) {
    Request request = residents.get(index).request;
    while (!plan.schedule(request, tokens)) {
      int victim = youngestUnscheduled(index);
      if (victim < 0) {
        plan.hold(request, HoldReason.MEMORY);
        return;
      }
      evict(plan, victim);
    }
  }

  /** Index of the youngest resident after {@code index} that has not yet advanced, or -1. */
  private int youngestUnscheduled(int index) {
    for (int i = residents.size() - 1; i > index; i--) {
      if (residents.get(i).request.scheduledTokens() == 0) {
        return i;
      }
    }
    return -1;
  }

  private void evict(IterationPlan plan, int index) {
    Node node = residents.get(index);
    removeResident(node);
    plan.evict(node.request);
    RequestQueue queue =
        node.request.state() == RequestState.SWAPPED ? swapped : waiting[node.requestClass];
    queue.insert(node);
  }

  private Node oldestWaiting() {
    Node oldest = null;
    for (RequestQueue queue : waiting) {
      Node first = (Node) queue.first();
      if (first != null && (oldest == null || first.order < oldest.order)) {
        oldest = first;
      }
    }
    return oldest;
  }

  private void admit(IterationPlan plan) {
    long promised = promisedBlocks();
    sortByEnd();
    for (int j = 0; j < classes; j++) {
      Node first = (Node) waiting[j].first();
      fires[j] =
          first != null
              && (waiting[j].size() >= thresholds[j]
                  || plan.now() - first.request.arrivalTime() > maxHold);
    }
    for (Node node = next(); node != null; node = next()) {
      Request request = node.request;
      long needed = memory.blocksFor((long) request.promptTokens() + request.generatedTokens());
      HoldReason reason = obstacle(plan, node, plan.freeBlocks() - promised - needed);
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
      addResident(node);
      pacer.admitted();
    }
    noteThoseHeld(plan);
  }

  /** The pace holds all alike, so it is noted once; other reasons are those of each class. */
  private void noteThoseHeld(IterationPlan plan) {
    boolean paced = false;
    for (RequestQueue queue : waiting) {
      Node first = (Node) queue.first();
      HoldReason reason = first == null ? null : closed(first);
      if (reason != null && !(reason == HoldReason.PACING && paced)) {
        plan.hold(first.request, reason);
        paced |= reason == HoldReason.PACING;
      }
    }
  }

  /** The oldest swapped request, else the oldest one whose class is open, or null. */
  private Node next() {
    if (swapped.first() != null) {
      return (Node) swapped.first();
    }
    Node oldest = null;
    for (RequestQueue queue : waiting) {
      Node first = (Node) queue.first();
      if (first != null
          && (oldest == null || first.order < oldest.order)
          && closed(first) == null) {
        oldest = first;
      }
    }
    return oldest;
  }

  /** Why the class lets nobody in now, or null if it does. */
  private HoldReason closed(Node first) {
    if (computed.isEmpty() || !isScarce(first)) {
      return null;
    }
    boolean underFilled = residents.size() < fullBatch;
    int j = first.requestClass;
    if (occupancy[j] >= caps[j] && !underFilled) {
      return HoldReason.SEGMENT_FULL;
    }
    if (!pacer.allows(1)) {
      return HoldReason.PACING;
    }
    // One that was evicted has waited for others before.
    boolean released = underFilled || fires[j] || first.request.evictions() > 0;
    return released ? null : HoldReason.THRESHOLD;
  }

  private boolean isScarce(Node node) {
    return residents.size() > 0 && longestBlocks + node.longestBlocks > memory.blocks();
  }

  /** {@code left} is what would be free with the whole prompt. */
  private HoldReason obstacle(IterationPlan plan, Node node, long left) {
    if (residents.size() + swapped.size() - (node.queue() == swapped ? 1 : 0) >= maxSequences) {
      return HoldReason.SEQUENCE_LIMIT;
    }
    if (plan.remainingTokens() == 0) {
      return HoldReason.TOKEN_BUDGET;
    }
    if (left < 0) {
      return HoldReason.MEMORY;
    }
    return isScarce(node) && !fitsAtEachEnd(node) ? HoldReason.MEMORY_BUFFER : null;
  }

  /** Whether the pool holds everybody who is still there at the end of each, and this one. */
  private boolean fitsAtEachEnd(Node entering) {
    Arrays.fill(residues, 0);
    long wholeBlocks = 0;
    int there = 0;
    boolean counted = false;
    int i = 0;
    while (i < residents.size() || !counted) {
      Node node;
      if (!counted && (i == residents.size() || byEnd[i].remaining() <= entering.remaining())) {
        node = entering;
        counted = true;
      } else {
        node = byEnd[i++];
      }
      wholeBlocks += node.base() / residues.length;
      residues[node.base() % residues.length]++;
      there++;
      if (counted && !fitsAfter(node.remaining(), wholeBlocks, there)) {
        return false;
      }
    }
    return true;
  }

  private boolean fitsAfter(int iterations, long wholeBlocks, int there) {
    long fewest = wholeBlocks + there * memory.blocksFor(iterations);
    if (fewest > memory.blocks() || fewest + there <= memory.blocks()) {
      return fewest <= memory.blocks();
    }
    long blocks = wholeBlocks;
    for (int residue = 0; residue < residues.length; residue++) {
      if (residues[residue] > 0) {
        blocks += residues[residue] * memory.blocksFor((long) residue + iterations);
      }
    }
    return blocks <= memory.blocks();
  }

  /** All advance alike, but for those held up, so that little is left to sort. */
  private void sortByEnd() {
    for (int i = 1; i < residents.size(); i++) {
      sink(i);
    }
  }

  private void sink(int index) {
    Node node = byEnd[index];
    int i = index;
    while (i > 0 && byEnd[i - 1].remaining() < node.remaining()) {
      byEnd[i] = byEnd[i - 1];
      i--;
    }
    byEnd[i] = node;
  }

  /** Blocks that residents still take to complete their prompts. */
  private long promisedBlocks() {
    long blocks = 0;
    for (int i = 0; i < residents.size(); i++) {
      Request request = residents.get(i).request;
      int left = request.pendingTokens() - request.scheduledTokens();
      if (left > 0) {
        long known = (long) request.cachedTokens() + request.scheduledTokens();
        blocks += memory.blocksFor(known + left) - memory.blocksFor(known);
      }
    }
    return blocks;
  }

  private void addResident(Node node) {
    byEnd[residents.size()] = node;
    sink(residents.size());
    residents.add(node);
    residents.sort();
    longestBlocks += node.longestBlocks;
    occupancy[node.requestClass]++;
  }

  private void removeResident(Node node) {
    residents.remove(node);
    int index = 0;
    while (byEnd[index] != node) {
      index++;
    }
    System.arraycopy(byEnd, index + 1, byEnd, index, residents.size() - index);
    byEnd[residents.size()] = null;
    longestBlocks -= node.longestBlocks;
    occupancy[node.requestClass]--;
  }

  @Override
  public void gauges(ObjDoubleConsumer<String> sink) {
    int waitingCount = 0;
    for (RequestQueue queue : waiting) {
      waitingCount += queue.size();
    }
    sink.accept("waiting", waitingCount);
    sink.accept("running", residents.size());
    sink.accept("swapped", swapped.size());
    sink.accept("longest_blocks", longestBlocks);
    if (computed.isEmpty()) {
      return;
    }
    WaitThresholds t = computed.get();
    sink.accept("admission_pace", pacer.pace());
    sink.accept("stable", t.isStable() ? 1 : 0);
    sink.accept("stability_margin", t.stabilityMargin());
    sink.accept("cycle_seconds", t.cycleSeconds());
    sink.accept("iteration_seconds", t.iterationSeconds());
    for (int j = 0; j < classes; j++) {
      sink.accept(occupancyNames[j], occupancy[j]);
      sink.accept(waitingNames[j], waiting[j].size());
      sink.accept(capNames[j], caps[j]);
      sink.accept(thresholdNames[j], thresholds[j]);
    }
  }
}
