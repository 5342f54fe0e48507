package dev.weir.simulation;

import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.Schedulers;
import java.util.Iterator;

/**
 * Serves a workload in virtual time. One iteration runs at a time; requests that arrive while it
 * runs are seen by the next plan. Memory is in proportion to the requests that are there at the
 * same time, not to the length of the workload, and an iteration allocates nothing.
 *
 * <p>One object simulates once. Not thread-safe; several simulations may run in parallel.
 */
public final class Simulation {
  /** Plans in a row, at the same time, that schedule nothing. */
  private static final int EMPTY_PLANS = 1000;

  private final SimulationOptions options;
  private final KvCapacity memory;
  private final Iterator<Arrival> arrivals;
  private final SimulationListener listener;
  private final Scheduler scheduler;
  private final IterationPlan plan;
  private final SimulatedIteration iteration;

  private Arrival next;
  private long nextIndex;
  private double now;
  private double firstArrival = Double.NaN;
  private double lastArrival = Double.NaN;
  private long freeBlocks;
  private long freeSwapBlocks;
  private int alive;
  private long arrived;
  private long refused;
  private long iterations;
  private long evictions;
  private long recomputedTokens;
  private double busySeconds;

  private Simulation(
      SimulationOptions options,
      Scheduler scheduler,
      Iterator<Arrival> arrivals,
      SimulationListener listener) {
    SchedulerConfig config = options.config();
    this.options = options;
    this.arrivals = arrivals;
    this.listener = listener;
    memory = config.memory();
    this.scheduler = scheduler;
    iteration = new SimulatedIteration(scheduler);
    plan = new IterationPlan(memory, config.limits(), config.preemption());
    freeBlocks = memory.blocks();
    freeSwapBlocks = memory.swapBlocks();
  }

  /**
   * Simulates until the last request has ended.
   *
   * @param arrivals in order of time; read as the simulation goes on
   * @throws IllegalArgumentException if there is no such scheduler, or it refuses the configuration
   * @throws StalledException if the scheduler lets requests wait forever
   */
  public static SimulationResult run(
      SimulationOptions options, Iterator<Arrival> arrivals, SimulationListener listener) {
    Scheduler scheduler = Schedulers.create(options.scheduler(), options.config());
    return run(options, scheduler, arrivals, listener);
  }

  /**
   * Simulates a scheduler that is not registered.
   *
   * @param options its {@link SimulationOptions#scheduler()} is a name for messages only
   * @param scheduler new, and made for the same configuration
   * @param arrivals in order of time; read as the simulation goes on
   * @throws StalledException if the scheduler lets requests wait forever
   */
  public static SimulationResult run(
      SimulationOptions options,
      Scheduler scheduler,
      Iterator<Arrival> arrivals,
      SimulationListener listener) {
    return new Simulation(options, scheduler, arrivals, listener).run();
  }

  private SimulationResult run() {
    advanceArrivals();
    if (next != null) {
      firstArrival = next.seconds();
    }
    int emptyPlans = 0;
    while (next != null || alive > 0) {
      if (alive == 0) {
        now = Math.max(now, next.seconds());
      }
      arrive();
      if (alive == 0) {
        continue;
      }
      plan.begin(now, freeBlocks, freeSwapBlocks);
      scheduler.plan(plan);
      listener.planned(now);
      applyEvictions();
      for (int i = 0; i < plan.heldCount(); i++) {
        listener.held((SimulatedRequest) plan.held(i).driverState(), plan.holdReason(i));
      }
      for (int i = 0; i < plan.predictionCount(); i++) {
        SimulatedRequest admitted = (SimulatedRequest) plan.predicted(i).driverState();
        listener.predicted(admitted, plan.overflowProbability(i));
      }
      if (plan.size() > 0) {
        emptyPlans = 0;
        iterate();
        continue;
      }
      double wake = wakeTime();
      emptyPlans = wake > now ? 0 : emptyPlans + 1;
      if (wake == Double.POSITIVE_INFINITY || emptyPlans == EMPTY_PLANS) {
        throw stalled();
      }
      now = Math.max(now, wake);
    }
    return new SimulationResult(
        arrived,
        refused,
        iterations,
        evictions,
        recomputedTokens,
        firstArrival,
        lastArrival,
        now,
        busySeconds);
  }

  private void advanceArrivals() {
    next = arrivals.hasNext() ? arrivals.next() : null;
  }

  private void arrive() {
    while (next != null && next.seconds() <= now) {
      Arrival arrival = next;
      long index = nextIndex++;
      advanceArrivals();
      lastArrival = arrival.seconds();
      int declared = options.declaredOutputTokens().orElse(arrival.outputTokens());
      String obstacle = obstacle(arrival, declared);
      if (obstacle != null) {
        refused++;
        listener.refused(index, arrival, obstacle);
        continue;
      }
      Request request =
          new Request(
              index, arrival.seconds(), arrival.promptTokens(), declared, arrival.outputTokens());
      SimulatedRequest simulated = new SimulatedRequest(index, arrival, request);
      request.setDriverState(simulated);
      alive++;
      arrived++;
      scheduler.arrived(request, now);
      listener.arrived(simulated);
    }
  }

  private String obstacle(Arrival arrival, int declared) {
    if (arrival.outputTokens() > declared) {
      return "outputTokens is " + arrival.outputTokens() + ", at most " + declared + " declared";
    }
    long needed = memory.blocksFor((long) arrival.promptTokens() + declared - 1);
    if (needed > memory.blocks()) {
      return arrival.promptTokens()
          + " prompt and "
          + declared
          + " output tokens need "
          + needed
          + " KV blocks, the pool has "
          + memory.blocks();
    }
    return null;
  }

  private void applyEvictions() {
    for (int i = 0; i < plan.resumedCount(); i++) {
      Request request = plan.resumed(i);
      freeSwapBlocks += memory.blocksFor(request.cachedTokens());
      listener.resumed((SimulatedRequest) request.driverState());
    }
    for (int i = 0; i < plan.evictionCount(); i++) {
      Request request = plan.evicted(i);
      SimulatedRequest simulated = (SimulatedRequest) request.driverState();
      listener.evicted(simulated);
      if (request.state() == RequestState.SWAPPED) {
        freeSwapBlocks -= memory.blocksFor(simulated.cachedTokens);
        continue;
      }
      recomputedTokens += simulated.cachedTokens;
      simulated.prefillTokens = prefillAgain(simulated);
      simulated.cachedTokens = 0;
    }
    evictions += plan.evictionCount();
    freeBlocks = plan.freeBlocks();
  }

  private int prefillAgain(SimulatedRequest simulated) {
    if (options.semantics() == SimulationSemantics.WEIR) {
      return simulated.arrival().promptTokens() + simulated.request.generatedTokens();
    }
    boolean prefilled = simulated.cachedTokens >= simulated.prefillTokens;
    return simulated.cachedTokens + (prefilled ? 1 : 0);
  }

  private double wakeTime() {
    if (plan.evictionCount() > 0 && options.semantics() == SimulationSemantics.WEIR) {
      return now;
    }
    double arrival = next == null ? Double.POSITIVE_INFINITY : next.seconds();
    return Math.min(plan.wakeTime(), arrival);
  }

  private StalledException stalled() {
    String reason =
        plan.heldCount() == 0
            ? ""
            : "; next would be " + plan.held(0) + ", held for " + plan.holdReason(0);
    return new StalledException(
        "scheduler '"
            + options.scheduler()
            + "' schedules none of "
            + alive
            + " requests at "
            + now
            + " s, and nothing will change that"
            + reason);
  }

  private void iterate() {
    BatchShape batch = iteration.batch;
    batch.clear();
    int size = plan.size();
    for (int i = 0; i < size; i++) {
      Request request = plan.request(i);
      SimulatedRequest simulated = (SimulatedRequest) request.driverState();
      int tokens = request.scheduledTokens();
      if (simulated.cachedTokens >= simulated.prefillTokens) {
        batch.addDecode(simulated.cachedTokens + tokens);
      } else {
        batch.addPrefill(tokens, simulated.cachedTokens);
        listener.prefilling(simulated, tokens);
      }
    }
    double duration = options.time().seconds(batch);
    double start = now;
    now += duration;
    busySeconds += duration;
    plan.commit();
    iteration.index = iterations++;
    iteration.start = start;
    iteration.end = now;
    iteration.usedBlocks = memory.blocks() - freeBlocks;
    iteration.evictions = plan.evictionCount();
    iteration.alive = alive;
    listener.iterated(iteration);
    for (int i = 0; i < size; i++) {
      Request request = plan.request(i);
      SimulatedRequest simulated = (SimulatedRequest) request.driverState();
      advance(simulated, request, start, duration);
    }
  }

  private void advance(SimulatedRequest simulated, Request request, double start, double duration) {
    if (simulated.cachedTokens < simulated.prefillTokens
        && request.cachedTokens() >= simulated.prefillTokens
        && Double.isNaN(simulated.prefillCompletedAt)) {
      simulated.prefillCompletedAt = now;
    }
    simulated.cachedTokens = request.cachedTokens();
    if (Double.isNaN(simulated.scheduledAt)) {
      simulated.scheduledAt = start;
    } else {
      simulated.preemptedTime += start - simulated.lastIterationEnd;
    }
    simulated.executionTime += duration;
    simulated.lastIterationEnd = now;
    int generated = request.generatedTokens();
    if (generated > simulated.generatedTokens) {
      simulated.generatedTokens = generated;
      if (generated == 1) {
        simulated.firstTokenAt = now;
      }
      listener.generated(simulated, now - simulated.lastTokenAt);
      simulated.lastTokenAt = now;
      if (generated == simulated.arrival().outputTokens()) {
        complete(simulated, request);
      }
    }
  }

  private void complete(SimulatedRequest simulated, Request request) {
    simulated.completedAt = now;
    freeBlocks += memory.blocksFor(request.cachedTokens());
    alive--;
    request.finish();
    scheduler.departed(request, now);
    listener.completed(simulated);
  }
}
