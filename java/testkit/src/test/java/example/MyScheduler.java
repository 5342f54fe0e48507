package example;

import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.ObjDoubleConsumer;

/** First come, first served; when memory runs out, whoever came last goes back to the queue. */
public class MyScheduler implements Scheduler {
  protected final KvCapacity memory;
  protected final Deque<Request> waiting = new ArrayDeque<>();
  protected final List<Request> running = new ArrayList<>();
  private final int maxSequences;

  public MyScheduler(SchedulerConfig config) {
    memory = config.memory();
    maxSequences = config.limits().maxSequences();
  }

  @Override
  public void arrived(Request request, double now) {
    memory.requireFits(request);
    waiting.addLast(request);
  }

  @Override
  public void departed(Request request, double now) {
    if (!running.remove(request)) {
      waiting.remove(request);
    }
  }

  @Override
  public void plan(IterationPlan plan) {
    for (int i = 0; i < running.size() && plan.remainingTokens() > 0; i++) {
      Request request = running.get(i);
      while (!plan.schedule(request, tokens(request, plan))) {
        Request victim = running.removeLast();
        plan.evict(victim);
        putBack(victim);
        if (victim == request) {
          break;
        }
      }
    }
    if (plan.evictionCount() > 0) {
      hold(plan, HoldReason.MEMORY);
    } else {
      admit(plan);
    }
  }

  protected void putBack(Request victim) {
    waiting.addFirst(victim);
  }

  protected void admit(IterationPlan plan) {
    while (!waiting.isEmpty()) {
      Request request = waiting.getFirst();
      HoldReason obstacle = obstacle(request, plan);
      if (obstacle != null) {
        hold(plan, obstacle);
        return;
      }
      waiting.removeFirst();
      start(request, plan);
    }
  }

  /** Why the request cannot start now, or null if it can. */
  protected HoldReason obstacle(Request request, IterationPlan plan) {
    if (running.size() == maxSequences) {
      return HoldReason.SEQUENCE_LIMIT;
    }
    if (plan.remainingTokens() == 0) {
      return HoldReason.TOKEN_BUDGET;
    }
    long needed = memory.blocksFor((long) request.promptTokens() + request.generatedTokens());
    return needed > plan.freeBlocks() ? HoldReason.MEMORY : null;
  }

  protected void start(Request request, IterationPlan plan) {
    if (request.state() == RequestState.SWAPPED) {
      plan.resume(request);
    }
    plan.schedule(request, tokens(request, plan));
    running.add(request);
  }

  protected void hold(IterationPlan plan, HoldReason reason) {
    plan.hold(waiting.getFirst(), reason);
  }

  private static int tokens(Request request, IterationPlan plan) {
    return Math.min(request.pendingTokens(), plan.remainingTokens());
  }

  @Override
  public void gauges(ObjDoubleConsumer<String> sink) {
    sink.accept("waiting", waiting.size());
    sink.accept("running", running.size());
  }
}
