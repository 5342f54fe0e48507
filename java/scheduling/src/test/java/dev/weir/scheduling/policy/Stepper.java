package dev.weir.scheduling.policy;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Schedulers;
import dev.weir.scheduling.Workload;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** A scheduler, a plan and a pool, moved by hand one iteration at a time. */
final class Stepper {
  final Scheduler scheduler;
  final IterationPlan plan;
  private final KvCapacity memory;
  private final List<Request> requests = new ArrayList<>();
  private double now;

  Stepper(Scheduler scheduler, KvCapacity memory, BatchLimits limits, Preemption preemption) {
    this.scheduler = scheduler;
    this.memory = memory;
    this.plan = new IterationPlan(memory, limits, preemption);
  }

  static Stepper of(
      String name,
      KvCapacity memory,
      BatchLimits limits,
      Preemption preemption,
      Optional<Workload> workload,
      Map<String, String> options) {
    SchedulerConfig config =
        new SchedulerConfig(
            memory,
            limits,
            preemption,
            new IterationCost(0.01, 1e-6),
            workload,
            SchedulerOptions.of(options));
    return new Stepper(Schedulers.create(name, config), memory, limits, preemption);
  }

  Request arrive(int prompt, int maxOutput) {
    return arrive(prompt, maxOutput, Request.UNKNOWN);
  }

  Request arrive(int prompt, int maxOutput, int trueOutput) {
    Request request = new Request(requests.size(), now, prompt, maxOutput, trueOutput);
    requests.add(request);
    scheduler.arrived(request, now);
    return request;
  }

  /** Plans one iteration, leaving the plan open to be looked at. */
  IterationPlan plan() {
    long used = 0;
    long swapped = 0;
    for (Request request : requests) {
      long blocks = memory.blocksFor(request.cachedTokens());
      used += request.state() == RequestState.RESIDENT ? blocks : 0;
      swapped += request.state() == RequestState.SWAPPED ? blocks : 0;
    }
    plan.begin(now, memory.blocks() - used, memory.swapBlocks() - swapped);
    scheduler.plan(plan);
    return plan;
  }

  /** Plans and runs {@code iterations} iterations of a hundredth of a second. */
  void run(int iterations) {
    for (int i = 0; i < iterations; i++) {
      plan();
      plan.commit();
      now += 0.01;
    }
  }

  void end(Request request) {
    requests.remove(request);
    request.finish();
    scheduler.departed(request, now);
  }

  void sleep(double seconds) {
    now += seconds;
  }

  List<Request> scheduled() {
    List<Request> scheduled = new ArrayList<>();
    for (int i = 0; i < plan.size(); i++) {
      scheduled.add(plan.request(i));
    }
    return scheduled;
  }

  Map<String, Double> gauges() {
    Map<String, Double> gauges = new TreeMap<>();
    scheduler.gauges(gauges::put);
    return gauges;
  }
}
