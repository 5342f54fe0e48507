package dev.weir.scheduling.policy;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Scheduler;
import java.util.function.ObjDoubleConsumer;

/**
 * First come, first served, with the blocks of a request's longest output reserved at its
 * admission, so nothing is ever evicted. Every iteration advances the running requests in order of
 * admission, prefill and decode together, as far as the token budget goes. What differs is when
 * requests join: see {@link Joining}.
 */
final class ReservingScheduler implements Scheduler {
  /** When waiting requests join the running ones. */
  enum Joining {
    /** Request-level batching, FasterTransformer: only when the whole batch before has ended. */
    WHEN_ALL_ENDED,
    /**
     * Iteration-level batching, Orca: in any iteration whose token budget has room for the whole
     * prompt; only a prompt longer than the budget is cut.
     */
    WITH_WHOLE_PROMPT,
    /**
     * Iteration-level batching with chunked prefill: in any iteration that has budget left, with as
     * much of the prompt as that holds.
     */
    WITH_FIRST_CHUNK
  }

  private static final class Node extends RequestQueue.Node {
    final long reservedBlocks;

    Node(Request request, long order, long reservedBlocks) {
      super(request, order);
      this.reservedBlocks = reservedBlocks;
    }
  }

  private final KvCapacity memory;
  private final Joining joining;
  private final long leastReservedBlocks;

  private final RequestQueue waiting = new RequestQueue();
  private final RunningRequests<Node> running;
  private long reservedBlocks;
  private long arrivals;

  /**
   * @param leastReservedTokens a request reserves at least this many tokens
   * @throws IllegalArgumentException if the pool does not hold them, so nobody could ever enter
   */
  ReservingScheduler(
      KvCapacity memory, BatchLimits limits, Joining joining, int leastReservedTokens) {
    this.memory = memory;
    this.joining = joining;
    this.leastReservedBlocks = memory.blocksFor(leastReservedTokens);
    if (leastReservedBlocks > memory.blocks()) {
      throw new IllegalArgumentException(
          "a request reserves at least "
              + leastReservedTokens
              + " tokens, the pool has "
              + memory.tokens()
              + "; enlarge the pool or lower the scheduler option requestTokens");
    }
    this.running = new RunningRequests<>(limits.maxSequences());
  }

  @Override
  public void arrived(Request request, double now) {
    memory.requireFits(request);
    long needed = memory.blocksFor((long) request.promptTokens() + request.maxOutputTokens() - 1);
    Node node = new Node(request, arrivals++, Math.max(needed, leastReservedBlocks));
    request.setSchedulerState(node);
    waiting.append(node);
  }

  @Override
  public void departed(Request request, double now) {
    Node node = (Node) request.schedulerState();
    if (node.queue() != null) {
      node.queue().remove(node);
      return;
    }
    running.remove(node);
    reservedBlocks -= node.reservedBlocks;
  }

  @Override
  public void plan(IterationPlan plan) {
    boolean open = joining != Joining.WHEN_ALL_ENDED || running.size() == 0;
    int scheduled = 0;
    while (scheduled < running.size() && plan.remainingTokens() > 0) {
      schedule(plan, running.get(scheduled++).request);
    }
    holdFirstNotStarted(plan, scheduled);
    while (waiting.first() != null) {
      Node node = (Node) waiting.first();
      HoldReason reason = open ? obstacle(node, plan) : HoldReason.BATCH_CLOSED;
      if (reason != null) {
        plan.hold(node.request, reason);
        return;
      }
      waiting.remove(node);
      reservedBlocks += node.reservedBlocks;
      running.add(node);
      if (plan.remainingTokens() > 0) {
        schedule(plan, node.request);
      }
    }
  }

  /** In a static batch, prompts that the budget has not come to yet wait, too. */
  private void holdFirstNotStarted(IterationPlan plan, int from) {
    for (int i = from; i < running.size(); i++) {
      Request request = running.get(i).request;
      if (request.state() == RequestState.WAITING) {
        plan.hold(request, HoldReason.TOKEN_BUDGET);
        return;
      }
    }
  }

  private HoldReason obstacle(Node node, IterationPlan plan) {
    if (running.isFull()) {
      return HoldReason.SEQUENCE_LIMIT;
    }
    if (plan.remainingTokens() < tokensToJoin(node.request, plan)) {
      return HoldReason.TOKEN_BUDGET;
    }
    return reservedBlocks + node.reservedBlocks > memory.blocks() ? HoldReason.MEMORY : null;
  }

  private int tokensToJoin(Request request, IterationPlan plan) {
    return switch (joining) {
      // The batch is complete from the start; its prompts may take several iterations.
      case WHEN_ALL_ENDED -> 0;
      case WITH_WHOLE_PROMPT ->
          request.promptTokens() > plan.limits().maxTokens() ? 1 : request.promptTokens();
      case WITH_FIRST_CHUNK -> 1;
    };
  }

  private static void schedule(IterationPlan plan, Request request) {
    if (!plan.schedule(request, Math.min(request.pendingTokens(), plan.remainingTokens()))) {
      throw new IllegalStateException("refused although its blocks are reserved: " + request);
    }
  }

  @Override
  public void gauges(ObjDoubleConsumer<String> sink) {
    sink.accept("waiting", waiting.size());
    sink.accept("running", running.size());
    sink.accept("reserved_blocks", reservedBlocks);
  }
}
