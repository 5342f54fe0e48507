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
 * Stall-free batching (Sarathi-Serve, arXiv 2403.02310): every iteration decodes all running
 * requests, then fills what is left of the chunk budget with prefill, first of requests in the
 * middle of their prompt, then of new ones. An admission reserves the blocks of the whole prompt.
 * When a decoding request finds no free block, the last of the requests that are not yet scheduled
 * is evicted, if need be the request itself.
 *
 * <p>The request admitted first is never another one's victim, so it advances whenever there is
 * budget for it, and every request ends.
 */
final class SarathiScheduler implements Scheduler {
  private static final class Node extends RequestQueue.Node {
    /** Cached tokens at which the prefill is complete. */
    int prefillTokens;

    Node(Request request, long order) {
      super(request, order);
      prefillTokens = request.promptTokens();
    }

    boolean isDecoding() {
      return request.cachedTokens() >= prefillTokens;
    }
  }

  private final KvCapacity memory;
  private final int chunk;
  private final long watermarkBlocks;
  private final Semantics semantics;

  private final RequestQueue waiting = new RequestQueue();
  private final RequestQueue swapped = new RequestQueue();

  /** In the order in which the next iteration looks at them. */
  private RunningRequests<Node> running;

  // Only within plan(): requests in the middle of their prompt, those that this iteration leaves
  // out, those that it schedules.
  private final RunningRequests<Node> partial;
  private RunningRequests<Node> next;
  private final RunningRequests<Node> scheduled;

  /** Blocks of prompts that are not in the cache yet, kept free for them. */
  private long reservedBlocks;

  private long arrivals;

  SarathiScheduler(
      KvCapacity memory, BatchLimits limits, int chunk, double watermark, Semantics semantics) {
    this.memory = memory;
    this.chunk = chunk;
    this.watermarkBlocks = (long) (watermark * memory.blocks());
    this.semantics = semantics;
    running = new RunningRequests<>(limits.maxSequences());
    partial = new RunningRequests<>(limits.maxSequences());
    next = new RunningRequests<>(limits.maxSequences());
    scheduled = new RunningRequests<>(limits.maxSequences());
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
      running.remove(node);
    }
  }

  @Override
  public void plan(IterationPlan plan) {
    reservedBlocks = 0;
    for (int i = 0; i < running.size(); i++) {
      if (!running.get(i).isDecoding()) {
        reservedBlocks += outstandingBlocks(running.get(i));
      }
    }
    partial.clear();
    next.clear();
    scheduled.clear();
    decode(plan);
    continuePrefill(plan);
    if (plan.evictionCount() > 0 && semantics == Semantics.WEIR) {
      RequestQueue.Node first = swapped.first() != null ? swapped.first() : waiting.first();
      plan.hold(first.request, HoldReason.MEMORY);
    } else if (resumeSwapped(plan)) {
      admit(plan);
    }
    arrangeRunning();
  }

  /** Blocks that the rest of the prompt takes, besides those that the request holds. */
  private long outstandingBlocks(Node node) {
    return memory.blocksFor(node.prefillTokens) - memory.blocksFor(node.request.cachedTokens());
  }

  private void decode(IterationPlan plan) {
    for (int i = 0; i < running.size(); i++) {
      Node node = running.get(i);
      if (!node.isDecoding()) {
        partial.add(node);
        continue;
      }
      if (plan.remainingTokens() == 0) {
        next.add(node);
        continue;
      }
      while (!canDecode(plan, node.request)) {
        Node victim = running.removeLast();
        evict(plan, victim);
        if (victim == node) {
          break;
        }
      }
      if (node.queue() == null) {
        schedule(plan, node, 1);
      }
    }
  }

  private boolean canDecode(IterationPlan plan, Request request) {
    // Vidur wants a free block even if the last one has room.
    long needed = semantics == Semantics.VIDUR ? 1 : plan.blocksNeeded(request, 1);
    return needed <= plan.freeBlocks() - reservedBlocks;
  }

  private void evict(IterationPlan plan, Node victim) {
    Request request = victim.request;
    boolean decoding = victim.isDecoding();
    if (!decoding) {
      reservedBlocks -= outstandingBlocks(victim);
    }
    int cachedTokens = request.cachedTokens();
    plan.evict(request);
    if (request.state() == RequestState.SWAPPED) {
      swapped.insert(victim);
    } else if (semantics == Semantics.VIDUR) {
      // Vidur takes what was prefilled for the whole prompt: the rest of it will be computed token
      // by token, as if decoding. And the victim goes ahead of everyone who waits.
      victim.prefillTokens = decoding ? cachedTokens + 1 : cachedTokens;
      waiting.prepend(victim);
    } else {
      victim.prefillTokens = request.pendingTokens();
      waiting.insert(victim);
    }
  }

  private void continuePrefill(IterationPlan plan) {
    for (int i = 0; i < partial.size(); i++) {
      Node node = partial.get(i);
      int tokens = prefillTokens(plan, node);
      if (tokens == 0) {
        next.add(node);
      } else {
        reservedBlocks -= plan.blocksNeeded(node.request, tokens);
        schedule(plan, node, tokens);
      }
    }
  }

  private int prefillTokens(IterationPlan plan, Node node) {
    int used = plan.limits().maxTokens() - plan.remainingTokens();
    int left = Math.min(chunk - used, plan.remainingTokens());
    return Math.max(0, Math.min(node.prefillTokens - node.request.cachedTokens(), left));
  }

  /** Returns whether no swapped request is left. */
  private boolean resumeSwapped(IterationPlan plan) {
    while (swapped.first() != null) {
      Node node = (Node) swapped.first();
      HoldReason reason = obstacle(plan, node);
      if (reason != null) {
        plan.hold(node.request, reason);
        return false;
      }
      swapped.remove(node);
      plan.resume(node.request);
      start(plan, node);
    }
    return true;
  }

  private void admit(IterationPlan plan) {
    while (waiting.first() != null) {
      Node node = (Node) waiting.first();
      HoldReason reason = obstacle(plan, node);
      if (reason != null) {
        plan.hold(node.request, reason);
        return;
      }
      waiting.remove(node);
      start(plan, node);
    }
  }

  private HoldReason obstacle(IterationPlan plan, Node node) {
    int resident = scheduled.size() + next.size();
    if (resident == plan.limits().maxSequences()) {
      return HoldReason.SEQUENCE_LIMIT;
    }
    long needed =
        node.isDecoding()
            ? memory.blocksFor(node.request.cachedTokens() + 1L)
            : memory.blocksFor(node.prefillTokens);
    // With nothing running the watermark protects nobody, and would keep out a request that needs
    // the whole pool.
    long reserve = resident == 0 && semantics == Semantics.WEIR ? 0 : watermarkBlocks;
    if (needed + reserve > plan.freeBlocks() - reservedBlocks) {
      return HoldReason.MEMORY;
    }
    boolean budget = node.isDecoding() ? plan.remainingTokens() > 0 : prefillTokens(plan, node) > 0;
    return budget ? null : HoldReason.TOKEN_BUDGET;
  }

  private void start(IterationPlan plan, Node node) {
    if (node.isDecoding()) {
      schedule(plan, node, 1);
      return;
    }
    int tokens = prefillTokens(plan, node);
    reservedBlocks += outstandingBlocks(node) - blocksTaken(node.request, tokens);
    schedule(plan, node, tokens);
  }

  private long blocksTaken(Request request, int tokens) {
    int cached = request.cachedTokens();
    return memory.blocksFor((long) cached + tokens) - memory.blocksFor(cached);
  }

  private void schedule(IterationPlan plan, Node node, int tokens) {
    if (!plan.schedule(node.request, tokens)) {
      throw new IllegalStateException("refused although it fits: " + node.request);
    }
    scheduled.add(node);
  }

  /**
   * Those left out come first, then the batch. We look at all in order of arrival; Vidur sorts only
   * those left out.
   */
  private void arrangeRunning() {
    if (semantics == Semantics.VIDUR) {
      next.sort();
    }
    next.addAll(scheduled);
    if (semantics == Semantics.WEIR) {
      next.sort();
    }
    RunningRequests<Node> previous = running;
    running = next;
    next = previous;
  }

  @Override
  public void gauges(ObjDoubleConsumer<String> sink) {
    sink.accept("waiting", waiting.size());
    sink.accept("running", running.size());
    sink.accept("swapped", swapped.size());
  }
}
