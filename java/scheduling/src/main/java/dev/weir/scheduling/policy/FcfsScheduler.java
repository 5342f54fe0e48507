package dev.weir.scheduling.policy;

import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Scheduler;
import java.util.function.ObjDoubleConsumer;

/**
 * First come, first served, as in vLLM V1: running requests first, in order of admission, then
 * admissions from the queue while the whole prompt fits above the watermark; prefill is chunked by
 * the token budget. When a running request finds no free block, the most recently admitted one is
 * evicted, if need be the request itself, and nobody is admitted in that iteration.
 *
 * <p>Compared with {@code vllm/v1/core/sched/scheduler.py} of the vLLM project (policy {@code
 * fcfs}), text-only requests without prefix caching, speculation, LoRA and remote KV get the same
 * treatment, with these remarks:
 *
 * <ul>
 *   <li>An admission needs room for the whole prompt, and after an eviction for what was generated,
 *       too. So does vLLM with {@code scheduler_reserve_full_isl}, its default in recent versions;
 *       earlier ones look at the first chunk only, so admit more and evict more.
 *   <li>The watermark is 0 by default in both, counts for admissions only, and not while nothing
 *       runs.
 *   <li>vLLM puts an evicted request at the head of the queue, we put it in its place in order of
 *       arrival. That is the same place: whoever was admitted arrived before all who wait.
 *   <li>vLLM's {@code long_prefill_token_threshold} is left at its default, no limit of its own.
 *   <li>vLLM V1 evicts by recompute only. With {@link dev.weir.scheduling.Preemption#SWAP} swapped
 *       requests come back before anyone is admitted.
 * </ul>
 *
 * <p>The request admitted first can evict all others, so it always advances, and every request
 * ends.
 */
final class FcfsScheduler implements Scheduler {
  private final KvCapacity memory;
  private final long watermarkBlocks;

  private final RequestQueue waiting = new RequestQueue();
  private final RequestQueue swapped = new RequestQueue();
  private final RunningRequests<RequestQueue.Node> running;
  private long arrivals;

  /**
   * @param watermark share of the pool that an admission must leave free, 0..1
   * @param cap the most requests that run at the same time, at most {@link
   *     dev.weir.scheduling.BatchLimits#maxSequences()}
   */
  FcfsScheduler(KvCapacity memory, double watermark, int cap) {
    this.memory = memory;
    this.watermarkBlocks = (long) Math.ceil(watermark * memory.blocks());
    this.running = new RunningRequests<>(cap);
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
    for (int i = 0; i < running.size() && plan.remainingTokens() > 0; i++) {
      Request request = running.get(i).request;
      int tokens = Math.min(request.pendingTokens(), plan.remainingTokens());
      while (!plan.schedule(request, tokens)) {
        RequestQueue.Node victim = running.removeLast();
        evict(plan, victim);
        if (victim.request == request) {
          break;
        }
      }
    }
    if (plan.evictionCount() > 0) {
      RequestQueue.Node next = swapped.first() != null ? swapped.first() : waiting.first();
      plan.hold(next.request, HoldReason.MEMORY);
      return;
    }
    if (resumeSwapped(plan)) {
      admit(plan);
    }
  }

  private void evict(IterationPlan plan, RequestQueue.Node victim) {
    plan.evict(victim.request);
    (victim.request.state() == RequestState.SWAPPED ? swapped : waiting).insert(victim);
  }

  /** Returns whether no swapped request is left. */
  private boolean resumeSwapped(IterationPlan plan) {
    while (swapped.first() != null) {
      RequestQueue.Node node = swapped.first();
      HoldReason reason = obstacle(node.request, plan);
      if (reason != null) {
        plan.hold(node.request, reason);
        return false;
      }
      plan.resume(node.request);
      swapped.remove(node);
      start(node, plan);
    }
    return true;
  }

  private void admit(IterationPlan plan) {
    while (waiting.first() != null) {
      RequestQueue.Node node = waiting.first();
      HoldReason reason = obstacle(node.request, plan);
      if (reason != null) {
        plan.hold(node.request, reason);
        return;
      }
      waiting.remove(node);
      start(node, plan);
    }
  }

  private HoldReason obstacle(Request request, IterationPlan plan) {
    if (running.isFull()) {
      return HoldReason.SEQUENCE_LIMIT;
    }
    if (plan.remainingTokens() == 0) {
      return HoldReason.TOKEN_BUDGET;
    }
    // With nothing running the watermark protects nobody, and would keep out a request that needs
    // the whole pool.
    long reserve = running.size() == 0 ? 0 : watermarkBlocks;
    long needed = memory.blocksFor((long) request.promptTokens() + request.generatedTokens());
    return needed + reserve > plan.freeBlocks() ? HoldReason.MEMORY : null;
  }

  private void start(RequestQueue.Node node, IterationPlan plan) {
    Request request = node.request;
    if (!plan.schedule(request, Math.min(request.pendingTokens(), plan.remainingTokens()))) {
      throw new IllegalStateException("refused although it fits: " + request);
    }
    running.add(node);
  }

  @Override
  public void gauges(ObjDoubleConsumer<String> sink) {
    sink.accept("waiting", waiting.size());
    sink.accept("running", running.size());
    sink.accept("swapped", swapped.size());
  }
}
