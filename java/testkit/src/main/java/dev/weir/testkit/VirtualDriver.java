package dev.weir.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.Schedulers;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;

/**
 * Drives a scheduler in virtual time as an engine would, and keeps books of its own: blocks,
 * tokens, positions. Every plan is checked against them, and the run fails when a request is lost,
 * ends twice or never ends. The driver is its own clock: {@link IterationCost} says how long an
 * iteration takes. Not thread-safe.
 */
public final class VirtualDriver {
  /**
   * A request and, hidden from the scheduler, how it will go.
   *
   * @param arrivalTime seconds
   * @param maxOutputTokens what the client declares
   * @param outputTokens what it comes to, at most {@code maxOutputTokens}
   * @param cancelAtIteration the request is cancelled before the plan with this number, counted
   *     from 0, if it is still there; {@link #NEVER} if nobody cancels it
   */
  public record Job(
      double arrivalTime,
      int promptTokens,
      int maxOutputTokens,
      int outputTokens,
      int cancelAtIteration) {
    public static final int NEVER = Integer.MAX_VALUE;

    /** A request that nobody cancels. */
    public static Job of(
        double arrivalTime, int promptTokens, int maxOutputTokens, int outputTokens) {
      return new Job(arrivalTime, promptTokens, maxOutputTokens, outputTokens, NEVER);
    }
  }

  /**
   * What came of a run.
   *
   * @param iterations plans, empty ones too
   * @param seconds when the last request ended
   * @param meanUtilisation share of the pool's blocks in use, over time
   * @param longestWaitSeconds from an arrival to the first iteration that schedules the request
   * @param overtaken how many later arrivals were scheduled before a request was for the first
   *     time, at most
   * @param decisions digest of all plans, in order
   */
  public record Outcome(
      int iterations,
      double seconds,
      long completed,
      long cancelled,
      long outputTokens,
      long evictions,
      long recomputedTokens,
      double meanUtilisation,
      double longestWaitSeconds,
      long overtaken,
      long decisions) {}

  private static final class Tracked {
    final Request request;
    final Job job;
    long blocks;
    long swappedBlocks;
    int length;
    long computedTokens;
    double firstScheduled = Double.NaN;
    long overtaken;
    boolean ended;

    Tracked(Request request, Job job) {
      this.request = request;
      this.job = job;
    }
  }

  private final SchedulerConfig config;
  private final Scheduler scheduler;
  private final int iterationLimit;

  private final Map<Request, Tracked> alive = new HashMap<>();
  private long freeBlocks;
  private long freeSwapBlocks;
  private double now;
  private long digest = 1;

  private long completed;
  private long cancelled;
  private long outputTokens;
  private long evictions;
  private long recomputedTokens;
  private double longestWait;
  private long mostOvertaken;

  /**
   * @param iterationLimit plans after which a run fails
   * @throws IllegalArgumentException if there is no such scheduler, or it refuses the configuration
   */
  public VirtualDriver(String name, SchedulerConfig config, int iterationLimit) {
    this.config = config;
    this.scheduler = Schedulers.create(name, config);
    this.iterationLimit = iterationLimit;
    freeBlocks = config.memory().blocks();
    freeSwapBlocks = config.memory().swapBlocks();
  }

  /**
   * Serves all jobs. A driver runs once.
   *
   * @throws AssertionError if the scheduler breaks its contract
   */
  public Outcome run(Collection<Job> jobs) {
    Queue<Job> arrivals =
        new ArrayDeque<>(
            jobs.stream().sorted(Comparator.comparingDouble(Job::arrivalTime)).toList());
    IterationPlan plan = new IterationPlan(config.memory(), config.limits(), config.preemption());
    int iteration = 0;
    long nextId = 0;
    double usedBlockSeconds = 0;
    while (!arrivals.isEmpty() || !alive.isEmpty()) {
      assertThat(iteration)
          .as("iterations, %s still alive", alive.keySet())
          .isLessThan(iterationLimit);
      if (alive.isEmpty()) {
        now = Math.max(now, arrivals.element().arrivalTime());
      }
      while (!arrivals.isEmpty() && arrivals.element().arrivalTime() <= now) {
        Job job = arrivals.remove();
        Request request =
            new Request(
                nextId++,
                job.arrivalTime(),
                job.promptTokens(),
                job.maxOutputTokens(),
                job.outputTokens());
        alive.put(request, new Tracked(request, job));
        scheduler.arrived(request, now);
      }
      cancelThoseDue(iteration);
      if (alive.isEmpty()) {
        continue;
      }
      plan.begin(now, freeBlocks, freeSwapBlocks);
      scheduler.plan(plan);
      apply(plan);
      double next;
      if (plan.size() > 0) {
        next = now + iterationSeconds(plan);
      } else {
        next = arrivals.isEmpty() ? plan.wakeTime() : arrivals.element().arrivalTime();
        next = Math.max(now, Math.min(next, plan.wakeTime()));
        assertThat(next)
            .as("the plan is empty and nothing will wake the driver for %s", alive.keySet())
            .isFinite();
      }
      usedBlockSeconds += (next - now) * (config.memory().blocks() - freeBlocks);
      commit(plan);
      now = next;
      finishThoseDone();
      iteration++;
    }
    assertThat(freeBlocks).isEqualTo(config.memory().blocks());
    assertThat(freeSwapBlocks).isEqualTo(config.memory().swapBlocks());
    return new Outcome(
        iteration,
        now,
        completed,
        cancelled,
        outputTokens,
        evictions,
        recomputedTokens,
        usedBlockSeconds / now / config.memory().blocks(),
        longestWait,
        mostOvertaken,
        digest);
  }

  private void apply(IterationPlan plan) {
    for (int i = 0; i < plan.evictionCount(); i++) {
      Tracked t = tracked(plan.evicted(i));
      assertThat(t.blocks).as("evicted but not resident: %s", t.request).isPositive();
      freeBlocks += t.blocks;
      // The request may have been admitted again in this plan, so its state does not tell how it
      // was evicted.
      if (t.request.state() == RequestState.SWAPPED) {
        assertThat(config.preemption()).isEqualTo(Preemption.SWAP);
        t.swappedBlocks = t.blocks;
        freeSwapBlocks -= t.blocks;
        assertThat(freeSwapBlocks).isNotNegative();
      } else {
        recomputedTokens += t.length;
        t.length = 0;
      }
      t.blocks = 0;
      evictions++;
      note(1, t.request);
    }
    for (int i = 0; i < plan.resumedCount(); i++) {
      Tracked t = tracked(plan.resumed(i));
      assertThat(t.swappedBlocks).as("resumed but not swapped: %s", t.request).isPositive();
      t.blocks = t.swappedBlocks;
      freeBlocks -= t.blocks;
      freeSwapBlocks += t.blocks;
      t.swappedBlocks = 0;
      assertThat(freeBlocks).isNotNegative();
      note(2, t.request);
    }
    int tokens = 0;
    Set<Request> seen = new HashSet<>();
    for (int i = 0; i < plan.size(); i++) {
      Tracked t = tracked(plan.request(i));
      assertThat(seen.add(t.request)).as("scheduled twice: %s", t.request).isTrue();
      assertThat(t.swappedBlocks).as("scheduled although swapped: %s", t.request).isZero();
      int scheduled = t.request.scheduledTokens();
      assertThat(scheduled)
          .isBetween(1, t.job.promptTokens() + t.request.generatedTokens() - t.length);
      tokens += scheduled;
      t.length += scheduled;
      t.computedTokens += scheduled;
      if (Double.isNaN(t.firstScheduled)) {
        t.firstScheduled = now;
        for (Tracked other : alive.values()) {
          if (Double.isNaN(other.firstScheduled) && other.request.id() < t.request.id()) {
            other.overtaken++;
          }
        }
        mostOvertaken = Math.max(mostOvertaken, t.overtaken);
        longestWait = Math.max(longestWait, now - t.job.arrivalTime());
      }
      long needed = (t.length + config.memory().blockSize() - 1) / config.memory().blockSize();
      freeBlocks -= needed - t.blocks;
      t.blocks = needed;
      note(3 + scheduled, t.request);
    }
    assertThat(freeBlocks).as("free blocks").isNotNegative().isEqualTo(plan.freeBlocks());
    assertThat(tokens).isLessThanOrEqualTo(config.limits().maxTokens());
    assertThat(plan.size()).isLessThanOrEqualTo(config.limits().maxSequences());
    long inMemory =
        alive.values().stream().filter(t -> t.blocks > 0 || t.swappedBlocks > 0).count();
    assertThat(inMemory)
        .as("resident or swapped")
        .isLessThanOrEqualTo(config.limits().maxSequences());
    for (int i = 0; i < plan.heldCount(); i++) {
      assertThat(plan.held(i).scheduledTokens())
          .as("held but scheduled: %s", plan.held(i))
          .isZero();
      note(-1 - plan.holdReason(i).ordinal(), plan.held(i));
    }
  }

  private double iterationSeconds(IterationPlan plan) {
    long tokens = 0;
    for (int i = 0; i < plan.size(); i++) {
      tokens += tracked(plan.request(i)).length;
    }
    return config.cost().seconds(tokens);
  }

  private void commit(IterationPlan plan) {
    long generatedBefore = generated();
    int complete = 0;
    for (int i = 0; i < plan.size(); i++) {
      if (plan.request(i).scheduledTokens() == plan.request(i).pendingTokens()) {
        complete++;
      }
    }
    plan.commit();
    assertThat(generated() - generatedBefore).isEqualTo(complete);
  }

  private long generated() {
    return alive.keySet().stream().mapToLong(Request::generatedTokens).sum();
  }

  private void finishThoseDone() {
    List<Tracked> done = new ArrayList<>();
    for (Tracked t : alive.values()) {
      assertThat(t.request.cachedTokens()).isEqualTo(t.length);
      if (t.request.generatedTokens() == t.job.outputTokens()) {
        done.add(t);
      }
    }
    done.sort(Comparator.comparingLong(t -> t.request.id()));
    for (Tracked t : done) {
      assertThat(t.computedTokens)
          .as("tokens computed for %s", t.request)
          .isEqualTo(
              t.job.promptTokens() + t.job.outputTokens() - 1 + t.request.recomputedTokens());
      completed++;
      outputTokens += t.job.outputTokens();
      end(t);
    }
  }

  private void cancelThoseDue(int iteration) {
    List<Tracked> due = new ArrayList<>();
    for (Tracked t : alive.values()) {
      if (t.job.cancelAtIteration() <= iteration) {
        due.add(t);
      }
    }
    due.sort(Comparator.comparingLong(t -> t.request.id()));
    for (Tracked t : due) {
      cancelled++;
      end(t);
    }
  }

  private void end(Tracked t) {
    assertThat(t.ended).isFalse();
    t.ended = true;
    freeBlocks += t.blocks;
    freeSwapBlocks += t.swappedBlocks;
    alive.remove(t.request);
    t.request.finish();
    scheduler.departed(t.request, now);
  }

  private Tracked tracked(Request request) {
    Tracked t = alive.get(request);
    assertThat(t).as("not alive: %s", request).isNotNull();
    return t;
  }

  private void note(int what, Request request) {
    digest = 31 * (31 * digest + what) + request.id();
  }
}
