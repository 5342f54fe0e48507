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
 * First come, first served, as vLLM did before its version 1: an iteration prefills newly admitted
 * requests, or, when none can be admitted, decodes all running ones; it never does both. Prompts
 * are prefilled whole, except one that exceeds the token budget by itself. When a running request
 * finds no free block, the most recently admitted one is evicted, if need be the request itself.
 * Swapped requests come back in a decoding iteration that evicted nobody, and nobody is admitted
 * before them.
 *
 * <p>The request admitted first can evict all others, so it advances in every decoding iteration,
 * and every request ends.
 */
final class VllmV0Scheduler implements Scheduler {
  private final KvCapacity memory;
  private final long watermarkBlocks;
  private final Semantics semantics;
  private final int paddedTokens;

  private final RequestQueue waiting = new RequestQueue();
  private final RequestQueue swapped = new RequestQueue();
  private final RunningRequests<RequestQueue.Node> running;
  private long arrivals;

  VllmV0Scheduler(
      KvCapacity memory,
      BatchLimits limits,
      double watermark,
      Semantics semantics,
      int paddedTokens) {
    this.memory = memory;
    this.watermarkBlocks = (long) (watermark * memory.blocks());
    this.semantics = semantics;
    this.paddedTokens = paddedTokens;
    this.running = new RunningRequests<>(limits.maxSequences());
  }

  @Override
  public void arrived(Request request, double now) {
    memory.requireFits(request);
    RequestQueue.Node node = new RequestQueue.Node(request, arrivals++);
    request.setSchedulerState(node);
    waiting.append(node);
  }

  @Override
  public void departed(Request request, double now) {
    RequestQueue.Node node = (RequestQueue.Node) request.schedulerState();
    if (node.queue() != null) {
      node.queue().remove(node);
    } else {
      running.remove(node);
    }
  }

  @Override
  public void plan(IterationPlan plan) {
    continuePrefill(plan);
    if (swapped.first() == null) {
      admit(plan);
    }
    if (plan.size() == 0) {
      decode(plan);
    }
  }

  /**
   * At most one request, the last, is in the middle of its prompt: one longer than the budget.
   * After an iteration that failed, all that it was to start are, and go together again.
   */
  private void continuePrefill(IterationPlan plan) {
    for (int i = 0; i < running.size() && plan.remainingTokens() > 0; i++) {
      Request request = running.get(i).request;
      if (!request.isDecoding()) {
        schedule(plan, request, Math.min(request.pendingTokens(), plan.remainingTokens()));
      }
    }
  }

  private void admit(IterationPlan plan) {
    int longest = 0;
    while (waiting.first() != null) {
      RequestQueue.Node node = waiting.first();
      Request request = node.request;
      int tokens = request.pendingTokens();
      longest = Math.max(longest, tokens);
      HoldReason reason = obstacle(request, longest, plan);
      if (reason != null) {
        plan.hold(request, reason);
        return;
      }
      waiting.remove(node);
      schedule(plan, request, Math.min(tokens, plan.remainingTokens()));
      running.add(node);
    }
  }

  private HoldReason obstacle(Request request, int longest, IterationPlan plan) {
    if (running.isFull()) {
      return HoldReason.SEQUENCE_LIMIT;
    }
    if (semantics == Semantics.VIDUR) {
      if ((plan.size() + 1L) * longest > paddedTokens) {
        return HoldReason.TOKEN_BUDGET;
      }
    } else if (plan.size() > 0 && request.pendingTokens() > plan.remainingTokens()) {
      return HoldReason.TOKEN_BUDGET;
    }
    // With nothing running the watermark protects nobody, and would keep out a request that needs
    // the whole pool.
    long reserve = running.size() == 0 && semantics == Semantics.WEIR ? 0 : watermarkBlocks;
    long needed = memory.blocksFor(request.pendingTokens());
    return needed + reserve > plan.freeBlocks() ? HoldReason.MEMORY : null;
  }

  private void decode(IterationPlan plan) {
    for (int i = 0; i < running.size() && plan.remainingTokens() > 0; i++) {
      Request request = running.get(i).request;
      while (!decode(plan, request)) {
        RequestQueue.Node victim = running.removeLast();
        evict(plan, victim);
        if (victim.request == request) {
          break;
        }
      }
    }
    if (plan.evictionCount() == 0) {
      resumeSwapped(plan);
    } else if (swapped.first() != null) {
      plan.hold(swapped.first().request, HoldReason.MEMORY);
    }
  }

  private boolean decode(IterationPlan plan, Request request) {
    if (semantics == Semantics.VIDUR && plan.freeBlocks() == 0) {
      return false;
    }
    return plan.schedule(request, 1);
  }

  private void evict(IterationPlan plan, RequestQueue.Node victim) {
    plan.evict(victim.request);
    (victim.request.state() == RequestState.SWAPPED ? swapped : waiting).insert(victim);
  }

  private void resumeSwapped(IterationPlan plan) {
    while (swapped.first() != null) {
      RequestQueue.Node node = swapped.first();
      Request request = node.request;
      if (running.isFull()) {
        plan.hold(request, HoldReason.SEQUENCE_LIMIT);
        return;
      }
      if (plan.remainingTokens() == 0) {
        plan.hold(request, HoldReason.TOKEN_BUDGET);
        return;
      }
      long reserve = running.size() == 0 ? 0 : watermarkBlocks;
      if (memory.blocksFor(request.cachedTokens() + 1L) + reserve > plan.freeBlocks()) {
        plan.hold(request, HoldReason.MEMORY);
        return;
      }
      swapped.remove(node);
      plan.resume(request);
      schedule(plan, request, 1);
      running.add(node);
    }
  }

  private static void schedule(IterationPlan plan, Request request, int tokens) {
    if (!plan.schedule(request, tokens)) {
      throw new IllegalStateException("refused although it fits: " + request);
    }
  }

  @Override
  public void gauges(ObjDoubleConsumer<String> sink) {
    sink.accept("waiting", waiting.size());
    sink.accept("running", running.size());
    sink.accept("swapped", swapped.size());
  }
}
