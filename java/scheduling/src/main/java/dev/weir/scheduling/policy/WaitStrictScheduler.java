package dev.weir.scheduling.policy;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Scheduler;
import java.util.Arrays;
import java.util.List;
import java.util.function.ObjDoubleConsumer;
import java.util.function.ToIntFunction;

/**
 * WAIT and Nested WAIT (arXiv 2504.11320) to the letter, idling included: {@code scheduling.md}
 * sections 3 and 4.
 *
 * <p>Requests advance through chains of segments. Nested WAIT is one chain; WAIT is a chain of one
 * segment for each class. Stage {@code s} of a request is the number of tokens it has generated, 0
 * until its prompt is complete. Segment {@code k} takes requests from its entrance, stage {@code
 * b_{k-1}}, to {@code b_k}. In each iteration the segments of a chain are walked in order, and fire
 * up to the first one that has fewer than {@code n_k} requests at its entrance. A segment that
 * fires advances up to {@code n_k} requests at each of its stages, in order of arrival; one that
 * does not fire keeps its requests, and their blocks, where they are. If none fires, the plan is
 * empty.
 *
 * <p>So requests wait, possibly without end, when too few others come: the theory has it so. Two
 * limits, both infinite unless they are set, make the policy live:
 *
 * <ul>
 *   <li>{@code maxHold}: when a segment has had requests for so long without firing, all segments
 *       of its chain fire in one iteration;
 *   <li>{@code drain}: when nobody has arrived for so long, all segments fire in every iteration
 *       until somebody does. No policy can know that arrivals have ended.
 * </ul>
 *
 * <p>The iteration has limits of which the theory knows nothing. A prompt that exceeds what is left
 * of the token budget is computed in chunks, and its request is at stage 0 meanwhile. The pool is
 * large enough for the thresholds; if requests are not what was declared, and one that is to
 * advance finds no block, the youngest younger one that does not advance in this iteration is
 * evicted, and goes back to stage 0 (or is swapped out, and keeps its stage). If requests that do
 * not advance hold all memory or all sequences, the oldest resident advances although it is not its
 * turn.
 */
final class WaitStrictScheduler implements Scheduler {

  /**
   * Segments in a row.
   *
   * @param names of the segments, for gauges
   * @param boundaries {@code b_1 < b_2 < ...}, in tokens; requests that generate more than the last
   *     one stay in the last segment, all of them at its last stage
   * @param thresholds {@code n_1, n_2, ...}, at least 1
   */
  record Chain(List<String> names, int[] boundaries, int[] thresholds) {}

  private static final class Node extends RequestQueue.Node {
    final Track track;

    /** Why it does not advance in this plan, if it does not. */
    HoldReason reason;

    Node(Request request, long order, Track track) {
      super(request, order);
      this.track = track;
    }
  }

  /** A chain and what is on it. */
  private static final class Track {
    final int segments;
    final int[] boundaries;
    final int[] thresholds;
    final RequestQueue waiting = new RequestQueue();

    /** Requests at the entrance of each segment, waiting ones included. */
    final int[] atEntrance;

    /** Requests in each segment. */
    final int[] present;

    /** When each segment last fired, or was first seen with a request. */
    final double[] since;

    /** Segments that had no request in the plan before. */
    final boolean[] empty;

    /** Requests that advance in this plan, by stage. */
    final int[] advancing;

    /** Segments that have a request in the decision log of this plan. */
    final boolean[] noted;

    /** Segments that fire: the first so many. */
    int firing;

    Track(Chain chain) {
      segments = chain.boundaries.length;
      boundaries = chain.boundaries;
      thresholds = chain.thresholds;
      atEntrance = new int[segments];
      present = new int[segments];
      since = new double[segments];
      empty = new boolean[segments];
      Arrays.fill(empty, true);
      advancing = new int[boundaries[segments - 1] + 1];
      noted = new boolean[segments];
    }

    int stage(Request request) {
      return request.isDecoding()
          ? Math.min(request.generatedTokens(), boundaries[segments - 1])
          : 0;
    }

    int segment(int stage) {
      int segment = 0;
      while (segment + 1 < segments && stage >= boundaries[segment]) {
        segment++;
      }
      return segment;
    }

    boolean isEntrance(int stage, int segment) {
      return stage == (segment == 0 ? 0 : boundaries[segment - 1]);
    }
  }

  private final KvCapacity memory;
  private final double maxHold;
  private final double drain;
  private final ToIntFunction<Request> chainOf;
  private final Track[] tracks;
  private final String[][] occupancyNames;
  private final String[][] waitingNames;
  private final String[][] thresholdNames;

  /** Resident and swapped requests in order of arrival. */
  private final RunningRequests<Node> members;

  private long arrivals;
  private double lastArrival = Double.NEGATIVE_INFINITY;

  /**
   * @param kind what segments are called in gauges
   * @param chains at least one
   * @param chainOf the index of the chain that a request is to take
   * @param maxHold seconds
   * @param drain seconds
   */
  WaitStrictScheduler(
      KvCapacity memory,
      BatchLimits limits,
      String kind,
      List<Chain> chains,
      ToIntFunction<Request> chainOf,
      double maxHold,
      double drain) {
    this.memory = memory;
    this.maxHold = maxHold;
    this.drain = drain;
    this.chainOf = chainOf;
    tracks = chains.stream().map(Track::new).toArray(Track[]::new);
    occupancyNames = names(chains, kind, "occupancy");
    waitingNames = names(chains, kind, "waiting");
    thresholdNames = names(chains, kind, "threshold");
    members = new RunningRequests<>(limits.maxSequences());
  }

  private static String[][] names(List<Chain> chains, String kind, String figure) {
    return chains.stream()
        .map(
            chain ->
                chain.names.stream()
                    .map(name -> kind + "_" + figure + "{" + kind + "=\"" + name + "\"}")
                    .toArray(String[]::new))
        .toArray(String[][]::new);
  }

  @Override
  public void arrived(Request request, double now) {
    memory.requireFits(request);
    Node node = new Node(request, arrivals++, tracks[chainOf.applyAsInt(request)]);
    request.setSchedulerState(node);
    node.track.waiting.append(node);
    lastArrival = now;
  }

  @Override
  public void departed(Request request, double now) {
    Node node = (Node) request.schedulerState();
    if (node.queue() != null) {
      node.queue().remove(node);
    } else {
      members.remove(node);
    }
  }

  @Override
  public void plan(IterationPlan plan) {
    count();
    boolean anyFires = false;
    for (Track track : tracks) {
      anyFires |= fire(track, plan.now());
    }
    if (anyFires) {
      run(plan);
    } else {
      idle(plan);
    }
  }

  private void run(IterationPlan plan) {
    boolean enough = advance(plan, true);
    enough &= advance(plan, false);
    if (enough && plan.evictionCount() == 0) {
      admit(plan);
    } else {
      Node next = oldestWaiting(false);
      if (next != null) {
        plan.hold(next.request, HoldReason.MEMORY);
      }
    }
    if (plan.size() == 0) {
      advanceTheOldest(plan);
    }
    noteThoseHeld(plan);
  }

  private void count() {
    for (Track track : tracks) {
      Arrays.fill(track.atEntrance, 0);
      Arrays.fill(track.present, 0);
      Arrays.fill(track.advancing, 0);
      Arrays.fill(track.noted, false);
      track.atEntrance[0] = track.waiting.size();
      track.present[0] = track.waiting.size();
    }
    for (int i = 0; i < members.size(); i++) {
      Track track = members.get(i).track;
      int stage = track.stage(members.get(i).request);
      int segment = track.segment(stage);
      track.present[segment]++;
      if (track.isEntrance(stage, segment)) {
        track.atEntrance[segment]++;
      }
    }
  }

  /** Determines which segments fire; returns whether there is a request in one of them. */
  private boolean fire(Track track, double now) {
    boolean all = now >= lastArrival + drain;
    for (int k = 0; k < track.segments; k++) {
      if (track.empty[k]) {
        track.since[k] = now;
      }
      track.empty[k] = track.present[k] == 0;
      all |= track.present[k] > 0 && now >= track.since[k] + maxHold;
    }
    track.firing = 0;
    boolean any = false;
    while (track.firing < track.segments
        && (all || track.atEntrance[track.firing] >= track.thresholds[track.firing])) {
      any |= track.present[track.firing] > 0;
      track.since[track.firing] = now;
      track.firing++;
    }
    return any;
  }

  private void idle(IterationPlan plan) {
    for (Track track : tracks) {
      if (track.waiting.first() != null) {
        plan.hold(track.waiting.first().request, HoldReason.THRESHOLD);
      }
      for (int k = 0; k < track.segments; k++) {
        if (track.present[k] > 0) {
          plan.wakeAt(track.since[k] + maxHold);
          plan.wakeAt(lastArrival + drain);
        }
      }
    }
    for (int i = 0; i < members.size(); i++) {
      members.get(i).reason = HoldReason.THRESHOLD;
    }
    noteThoseHeld(plan);
  }

  /** The first of each segment, for all, and the first of those that are swapped out. */
  private void noteThoseHeld(IterationPlan plan) {
    boolean swappedNoted = false;
    for (int i = 0; i < members.size(); i++) {
      Node node = members.get(i);
      if (node.request.scheduledTokens() > 0) {
        continue;
      }
      int segment = node.track.segment(node.track.stage(node.request));
      boolean swapped = node.request.state() == RequestState.SWAPPED;
      if (!node.track.noted[segment] || (swapped && !swappedNoted)) {
        node.track.noted[segment] = true;
        swappedNoted |= swapped;
        plan.hold(node.request, node.reason);
      }
    }
  }

  /**
   * Advances those that decode, or those whose prompt is not complete; returns whether there was
   * memory for all that are to.
   */
  private boolean advance(IterationPlan plan, boolean decoding) {
    boolean enough = true;
    for (int i = 0; i < members.size(); i++) {
      Node node = members.get(i);
      Request request = node.request;
      if (request.isDecoding() != decoding || request.scheduledTokens() > 0) {
        continue;
      }
      int stage = node.track.stage(request);
      int segment = node.track.segment(stage);
      if (segment >= node.track.firing) {
        node.reason = HoldReason.THRESHOLD;
      } else if (node.track.advancing[stage] == node.track.thresholds[segment]) {
        node.reason = HoldReason.SEGMENT_FULL;
      } else if (plan.remainingTokens() == 0) {
        node.reason = HoldReason.TOKEN_BUDGET;
      } else if (advance(plan, i)) {
        node.track.advancing[stage]++;
      } else {
        enough = false;
        node.reason = HoldReason.MEMORY;
      }
    }
    return enough;
  }

  private boolean advance(IterationPlan plan, int index) {
    Request request = members.get(index).request;
    int tokens = Math.min(request.pendingTokens(), plan.remainingTokens());
    if (request.state() == RequestState.SWAPPED) {
      long needed = memory.blocksFor((long) request.cachedTokens() + tokens);
      if (plan.evictionCount() > 0 || needed > plan.freeBlocks()) {
        return false;
      }
      plan.resume(request);
    }
    while (!plan.schedule(request, tokens)) {
      int victim = youngestUnscheduled(index);
      if (victim < 0) {
        return false;
      }
      evict(plan, victim);
    }
    return true;
  }

  /** Index of the youngest resident after {@code index} that does not yet advance, or -1. */
  private int youngestUnscheduled(int index) {
    for (int i = members.size() - 1; i > index; i--) {
      Request request = members.get(i).request;
      if (request.state() == RequestState.RESIDENT && request.scheduledTokens() == 0) {
        return i;
      }
    }
    return -1;
  }

  private void evict(IterationPlan plan, int index) {
    Node node = members.get(index);
    node.reason = HoldReason.MEMORY;
    plan.evict(node.request);
    if (node.request.state() != RequestState.SWAPPED) {
      members.remove(node);
      node.track.waiting.insert(node);
    }
  }

  private void admit(IterationPlan plan) {
    long promised = promisedBlocks();
    for (Node node = oldestWaiting(true); node != null; node = oldestWaiting(true)) {
      Request request = node.request;
      long needed = memory.blocksFor((long) request.promptTokens() + request.generatedTokens());
      HoldReason reason = obstacle(plan, plan.freeBlocks() - promised - needed);
      if (reason != null) {
        plan.hold(request, reason);
        return;
      }
      int tokens = Math.min(request.pendingTokens(), plan.remainingTokens());
      if (!plan.schedule(request, tokens)) {
        throw new IllegalStateException("refused although it fits: " + request);
      }
      promised += needed - memory.blocksFor(tokens);
      node.track.advancing[0]++;
      node.track.waiting.remove(node);
      members.add(node);
      members.sort();
    }
    for (Track track : tracks) {
      Node next = (Node) track.waiting.first();
      if (next != null) {
        boolean fires = track.firing > 0;
        plan.hold(next.request, fires ? HoldReason.SEGMENT_FULL : HoldReason.THRESHOLD);
      }
    }
  }

  /**
   * The waiting request that arrived first, among all or among those whose entrance fires and has
   * room.
   */
  private Node oldestWaiting(boolean entering) {
    Node oldest = null;
    for (Track track : tracks) {
      Node first = (Node) track.waiting.first();
      boolean open = track.firing > 0 && track.advancing[0] < track.thresholds[0];
      if (first != null && (open || !entering) && (oldest == null || first.order < oldest.order)) {
        oldest = first;
      }
    }
    return oldest;
  }

  private HoldReason obstacle(IterationPlan plan, long left) {
    if (members.isFull()) {
      return HoldReason.SEQUENCE_LIMIT;
    }
    if (plan.remainingTokens() == 0) {
      return HoldReason.TOKEN_BUDGET;
    }
    return left < 0 ? HoldReason.MEMORY : null;
  }

  /** Blocks that residents still take to complete their prompts. */
  private long promisedBlocks() {
    long blocks = 0;
    for (int i = 0; i < members.size(); i++) {
      Request request = members.get(i).request;
      int left = request.pendingTokens() - request.scheduledTokens();
      if (left > 0 && !request.isDecoding()) {
        long known = (long) request.cachedTokens() + request.scheduledTokens();
        blocks += memory.blocksFor(known + left) - memory.blocksFor(known);
      }
    }
    return blocks;
  }

  /** Somebody is to advance, but all memory or all sequences are with those who are not. */
  private void advanceTheOldest(IterationPlan plan) {
    for (int i = 0; i < members.size(); i++) {
      if (members.get(i).request.state() == RequestState.RESIDENT) {
        advance(plan, i);
        return;
      }
    }
  }

  @Override
  public void gauges(ObjDoubleConsumer<String> sink) {
    count();
    int waiting = 0;
    int swapped = 0;
    for (Track track : tracks) {
      waiting += track.waiting.size();
    }
    for (int i = 0; i < members.size(); i++) {
      swapped += members.get(i).request.state() == RequestState.SWAPPED ? 1 : 0;
    }
    sink.accept("waiting", waiting);
    sink.accept("running", members.size() - swapped);
    sink.accept("swapped", swapped);
    for (int c = 0; c < tracks.length; c++) {
      Track track = tracks[c];
      for (int k = 0; k < track.segments; k++) {
        sink.accept(occupancyNames[c][k], track.present[k] - track.atEntrance[k]);
        sink.accept(waitingNames[c][k], track.atEntrance[k]);
        sink.accept(thresholdNames[c][k], track.thresholds[k]);
      }
    }
  }
}
