package dev.weir.scheduling.policy;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.Scheduler;
import java.util.function.ObjDoubleConsumer;

/**
 * First come, first served, with the blocks of a request's longest output reserved at its
 * admission, so nothing is ever evicted. Every iteration advances every running request, prefill
 * and decode together, prompts cut only by the token budget.
 *
 * <p>With iteration-level batching (Orca) requests join whenever there is room; with static
 * batching (FasterTransformer) only when the whole batch before has ended.
 */
final class ReservingScheduler implements Scheduler {
  private static final class Node extends RequestQueue.Node {
    final long reservedBlocks;

    Node(Request request, long order, long reservedBlocks) {
      super(request, order);
      this.reservedBlocks = reservedBlocks;
    }
  }

  private final KvCapacity memory;
  private final boolean staticBatches;
  private final long leastReservedBlocks;

  private final RequestQueue waiting = new RequestQueue();
  private final Node[] running;
  private int runningCount;
  private long reservedBlocks;
  private long arrivals;

  /**
   * @param staticBatches whether a batch is closed once it has started
   * @param leastReservedTokens a request reserves at least this many tokens
   */
  ReservingScheduler(
      KvCapacity memory, BatchLimits limits, boolean staticBatches, int leastReservedTokens) {
    this.memory = memory;
    this.staticBatches = staticBatches;
    this.leastReservedBlocks = memory.blocksFor(leastReservedTokens);
    this.running = new Node[limits.maxSequences()];
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
    int index = 0;
    while (running[index] != node) {
      index++;
    }
    runningCount--;
    System.arraycopy(running, index + 1, running, index, runningCount - index);
    running[runningCount] = null;
    reservedBlocks -= node.reservedBlocks;
  }

  @Override
  public void plan(IterationPlan plan) {
    boolean open = !staticBatches || runningCount == 0;
    for (int i = 0; i < runningCount && plan.remainingTokens() > 0; i++) {
      schedule(plan, running[i].request);
    }
    while (waiting.first() != null) {
      Node node = (Node) waiting.first();
      HoldReason reason = open ? obstacle(node, plan) : HoldReason.BATCH_CLOSED;
      if (reason != null) {
        plan.hold(node.request, reason);
        return;
      }
      waiting.remove(node);
      reservedBlocks += node.reservedBlocks;
      running[runningCount++] = node;
      if (plan.remainingTokens() > 0) {
        schedule(plan, node.request);
      }
    }
  }

  private HoldReason obstacle(Node node, IterationPlan plan) {
    if (runningCount == running.length) {
      return HoldReason.SEQUENCE_LIMIT;
    }
    // A static batch is complete from the start; its prompts may take several iterations.
    if (plan.remainingTokens() == 0 && !staticBatches) {
      return HoldReason.TOKEN_BUDGET;
    }
    return reservedBlocks + node.reservedBlocks > memory.blocks() ? HoldReason.MEMORY : null;
  }

  private static void schedule(IterationPlan plan, Request request) {
    if (!plan.schedule(request, Math.min(request.pendingTokens(), plan.remainingTokens()))) {
      throw new IllegalStateException("refused although its blocks are reserved: " + request);
    }
  }

  @Override
  public void gauges(ObjDoubleConsumer<String> sink) {
    sink.accept("waiting", waiting.size());
    sink.accept("running", runningCount);
    sink.accept("reserved_blocks", reservedBlocks);
  }
}
