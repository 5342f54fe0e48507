package dev.weir.testkit;

import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Queue;

/**
 * Drives a scheduler in virtual time as an engine would, and keeps books of its own: blocks,
 * tokens, positions. Every plan is checked against them. The driver is its own clock: {@link
 * IterationCost} says how long an iteration takes. Runs once. Not thread-safe.
 */
public final class VirtualDriver {
  /** Empty plans in a row, without an arrival between them, after which nobody believes in more. */
  private static final int EMPTY_PLANS = 100;

  /** Requests that a message names. */
  private static final int NAMED = 3;

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

    @Override
    public String toString() {
      String job =
          String.format(
              Locale.ROOT,
              "[at %s s: prompt %d, output %d of %d",
              arrivalTime,
              promptTokens,
              outputTokens,
              maxOutputTokens);
      return job
          + (cancelAtIteration == NEVER ? "]" : ", cancelled at plan " + cancelAtIteration + "]");
    }
  }

  /**
   * What came of a run.
   *
   * @param iterations plans, empty ones too
   * @param seconds when the last request ended
   * @param meanUtilisation share of the pool's blocks in use, over time
   * @param longestWaitSeconds from an arrival to the first iteration that schedules the request
   * @param inArrivalOrder whether requests were scheduled for the first time in order of arrival
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
      boolean inArrivalOrder,
      long decisions) {}

  /** Where a request stood when it was cancelled. */
  enum Standing {
    NEW,
    EVICTED,
    PREFILLING,
    DECODING,
    PAUSED,
    SWAPPED
  }

  /** Arrival {@code index}, counted from 0, before plan {@code iteration}. */
  record Sighting(int index, int iteration) {}

  /** Ends a run that cannot go on; the finding says why. */
  private static final class Stop extends RuntimeException {
    private static final long serialVersionUID = 1;

    Stop() {
      super(null, null, false, false);
    }
  }

  private static final class Tracked {
    final Request request;
    final Job job;
    final long index;
    int slot;
    long blocks;
    long swappedBlocks;
    int length;
    int generated;
    long computedTokens;
    long recomputedTokens;

    /** Blocks that the rest of a prompt takes of which a part is in the cache. */
    long promisedBlocks;

    /** How many requests had been scheduled for the first time when it was last scheduled. */
    long lastPosition = -1;

    int lastPlan = -1;
    boolean refused;
    boolean ended;

    Tracked(Request request, Job job, long index) {
      this.request = request;
      this.job = job;
      this.index = index;
    }

    int pendingTokens() {
      return job.promptTokens() + generated - length;
    }

    boolean isDecoding() {
      return generated > 0 && pendingTokens() <= 1;
    }

    boolean wasScheduled() {
      return lastPosition >= 0;
    }
  }

  private final Scheduler scheduler;
  private final SchedulerConfig config;
  private final KvCapacity memory;
  private final IterationPlan plan;
  private final int iterationLimit;
  private final boolean clairvoyant;

  private final List<Finding> findings = new ArrayList<>();
  private final List<Tracked> alive = new ArrayList<>();
  private final Queue<Tracked> neverScheduled = new ArrayDeque<>();
  private final Queue<Tracked> toCancel =
      new PriorityQueue<>(
          Comparator.<Tracked>comparingInt(t -> t.job.cancelAtIteration())
              .thenComparingLong(t -> t.index));
  private Arrivals arrivals;
  private int failingIteration = Job.NEVER;
  private List<Long> history;
  private Map<Standing, List<Sighting>> sightings;

  private double now;
  private int iteration;
  private int emptyPlans;
  private long arrived;
  private long freeBlocks;
  private long freeSwapBlocks;
  private long promisedBlocks;
  private int residents;
  private int swapped;

  private long completed;
  private long cancelled;
  private long outputTokens;
  private long evictions;
  private long recomputedTokens;
  private double usedBlockSeconds;
  private double longestWait;
  private double lastArrival;
  private long backlog;
  private long peakBacklog;
  private long firstScheduled;
  private boolean inArrivalOrder = true;
  private long latestPosition;
  private String latest = "";
  private long mostPassedBy;
  private String passedBy = "";
  private final Map<Standing, Integer> cancellations = new EnumMap<>(Standing.class);
  private long digest = 1;

  /**
   * @param scheduler fresh
   * @param config what it was made with
   * @param iterationLimit plans after which a run fails
   * @param clairvoyant whether {@link Request#trueOutputTokens} tells the truth, or nothing
   */
  public VirtualDriver(
      Scheduler scheduler, SchedulerConfig config, int iterationLimit, boolean clairvoyant) {
    this.scheduler = scheduler;
    this.config = config;
    this.iterationLimit = iterationLimit;
    this.clairvoyant = clairvoyant;
    memory = config.memory();
    plan = new IterationPlan(memory, config.limits(), config.preemption());
    freeBlocks = memory.blocks();
    freeSwapBlocks = memory.swapBlocks();
  }

  /**
   * Serves all jobs.
   *
   * @throws AssertionError if the scheduler breaks its contract
   */
  public Outcome run(Collection<Job> jobs) {
    List<Finding> found = drive(new JobList(jobs));
    if (!found.isEmpty()) {
      Finding first = found.getFirst();
      throw new AssertionError(first.property().title() + ": " + first.message(), first.cause());
    }
    return outcome();
  }

  /** Lets an iteration fail, as if the device had run out of memory: the whole batch departs. */
  void fail(int failing) {
    failingIteration = failing;
  }

  /** Has {@link #history} keep the digest after every plan. */
  void keepHistory() {
    history = new ArrayList<>();
  }

  /** Has {@link #sightings} keep where every request stood before every plan. */
  void keepSightings() {
    sightings = new EnumMap<>(Standing.class);
  }

  /**
   * Serves all jobs and returns the rules that were broken, each at most once. When the scheduler
   * lets requests wait for ever, they are cancelled, so that the run can be judged otherwise.
   */
  List<Finding> drive(Arrivals load) {
    arrivals = load;
    try {
      loop();
      requireWholePool();
    } catch (Stop _) {
      // The finding says why.
    }
    return List.copyOf(findings);
  }

  private void loop() {
    while (!arrivals.exhausted() || !alive.isEmpty()) {
      if (iteration >= iterationLimit) {
        throw stop(
            ConformanceProperty.DRAIN,
            "after " + iteration + " plans there is no end: " + alive.size() + " left, " + some(),
            null);
      }
      if (alive.isEmpty()) {
        now = Math.max(now, arrivals.nextTime(now, alive.size()));
      }
      arrive();
      cancelThoseDue();
      if (alive.isEmpty()) {
        continue;
      }
      if (sightings != null) {
        for (Tracked t : alive) {
          sightings
              .computeIfAbsent(standing(t), s -> new ArrayList<>())
              .add(new Sighting((int) t.index, iteration));
        }
      }
      plan.begin(now, freeBlocks, freeSwapBlocks);
      try {
        scheduler.plan(plan);
      } catch (RuntimeException | AssertionError e) {
        throw crash("plan()", e);
      }
      apply();
      if (history != null) {
        history.add(digest);
      }
      if (plan.size() > 0) {
        emptyPlans = 0;
        if (iteration == failingIteration) {
          failBatch();
        } else {
          iterate();
        }
      } else {
        sleep();
      }
      iteration++;
    }
  }

  private void arrive() {
    for (Job job = arrivals.next(now, alive.size(), iteration);
        job != null;
        job = arrivals.next(now, alive.size(), iteration)) {
      Request request =
          new Request(
              arrived,
              job.arrivalTime(),
              job.promptTokens(),
              job.maxOutputTokens(),
              clairvoyant ? job.outputTokens() : Request.UNKNOWN);
      Tracked t = new Tracked(request, job, arrived++);
      request.setDriverState(t);
      emptyPlans = 0;
      if (!accepted(t)) {
        t.refused = true;
        t.ended = true;
        continue;
      }
      t.slot = alive.size();
      alive.add(t);
      neverScheduled.add(t);
      if (job.cancelAtIteration() != Job.NEVER) {
        toCancel.add(t);
      }
      backlog++;
      peakBacklog = Math.max(peakBacklog, backlog);
      lastArrival = now;
    }
  }

  private boolean accepted(Tracked t) {
    long needed = memory.blocksFor((long) t.job.promptTokens() + t.job.maxOutputTokens() - 1);
    boolean fits = needed <= memory.blocks();
    String need = " and may need " + needed + " of " + memory.blocks() + " blocks";
    try {
      scheduler.arrived(t.request, now);
    } catch (IllegalArgumentException e) {
      if (fits) {
        note(ConformanceProperty.REFUSAL, "refuses " + t.request + ", which fits" + need, e);
      }
      return false;
    } catch (RuntimeException | AssertionError e) {
      if (fits) {
        throw crash("arrived()", e);
      }
      note(ConformanceProperty.REFUSAL, "arrived() throws " + e + " for one too large" + need, e);
      return false;
    }
    if (!fits) {
      note(ConformanceProperty.REFUSAL, "accepts " + t.request + ", which is too large" + need);
      t.request.finish();
      departed(t);
    }
    return fits;
  }

  private void apply() {
    int waiting = alive.size() - residents;
    applyEvictions();
    applyResumed();
    int admitted = plan.resumedCount();
    long tokens = 0;
    for (int i = 0; i < plan.size(); i++) {
      Tracked t = tracked("schedules", plan.request(i));
      if (t.blocks == 0) {
        admitted++;
      }
      applyScheduled(t);
      tokens += t.request.scheduledTokens();
    }
    requireLimits(admitted, tokens);
    checkDecisionLog(waiting, admitted);
    if (Double.isNaN(plan.wakeTime())) {
      note(ConformanceProperty.WAKE_UP, "asks at " + now + " s to be woken at NaN s");
    }
    digest = 31 * digest + Double.hashCode(plan.wakeTime());
  }

  private void applyEvictions() {
    for (int i = 0; i < plan.evictionCount(); i++) {
      Tracked t = tracked("evicts", plan.evicted(i));
      if (t.blocks == 0) {
        throw stop(
            ConformanceProperty.CONSERVATION, "evicts who holds no block: " + t.request, null);
      }
      freeBlocks += t.blocks;
      promisedBlocks -= t.promisedBlocks;
      t.promisedBlocks = 0;
      residents--;
      // The request may have been admitted again in this plan, so that it is not WAITING; one that
      // was swapped out cannot be.
      if (t.request.state() == RequestState.SWAPPED) {
        if (config.preemption() != Preemption.SWAP) {
          throw stop(ConformanceProperty.CONSERVATION, "swaps although it must not", null);
        }
        t.swappedBlocks = t.blocks;
        freeSwapBlocks -= t.blocks;
        swapped++;
      } else {
        recomputedTokens += t.length;
        t.recomputedTokens += t.length;
        t.length = 0;
      }
      t.blocks = 0;
      evictions++;
      note(1, t);
    }
  }

  private void applyResumed() {
    for (int i = 0; i < plan.resumedCount(); i++) {
      Tracked t = tracked("resumes", plan.resumed(i));
      if (t.swappedBlocks == 0) {
        throw stop(
            ConformanceProperty.CONSERVATION, "resumes who is not swapped: " + t.request, null);
      }
      t.blocks = t.swappedBlocks;
      freeBlocks -= t.blocks;
      freeSwapBlocks += t.blocks;
      t.swappedBlocks = 0;
      swapped--;
      residents++;
      promise(t);
      note(2, t);
    }
  }

  private void applyScheduled(Tracked t) {
    int scheduled = t.request.scheduledTokens();
    if (t.lastPlan == iteration
        || t.swappedBlocks > 0
        || scheduled < 1
        || scheduled > t.pendingTokens()) {
      throw stop(
          ConformanceProperty.CONSERVATION,
          "schedules " + scheduled + " of " + t.pendingTokens() + " tokens of " + t.request,
          null);
    }
    t.lastPlan = iteration;
    t.length += scheduled;
    t.computedTokens += scheduled;
    if (t.blocks == 0) {
      residents++;
    }
    long needed = memory.blocksFor(t.length);
    freeBlocks -= needed - t.blocks;
    t.blocks = needed;
    promise(t);
    position(t);
    note(3 + scheduled, t);
  }

  private void promise(Tracked t) {
    promisedBlocks -= t.promisedBlocks;
    t.promisedBlocks =
        t.isDecoding() ? 0 : memory.blocksFor((long) t.length + t.pendingTokens()) - t.blocks;
    promisedBlocks += t.promisedBlocks;
  }

  private void position(Tracked t) {
    if (t.wasScheduled()) {
      long passed = firstScheduled - t.lastPosition;
      if (passed > mostPassedBy) {
        mostPassedBy = passed;
        passedBy =
            passed + " others were scheduled for the first time while it paused: " + t.request;
      }
    } else {
      long position = firstScheduled++ - 2 * t.index;
      if (position > latestPosition) {
        latestPosition = position;
        latest =
            "arrival "
                + (t.index + 1)
                + " is the "
                + firstScheduled
                + "th to be scheduled: "
                + t.request;
      }
      while (neverScheduled.element().ended) {
        neverScheduled.remove();
      }
      if (neverScheduled.element() == t) {
        neverScheduled.remove();
      } else {
        inArrivalOrder = false;
        neverScheduled.remove(t);
      }
      backlog--;
      longestWait = Math.max(longestWait, now - t.job.arrivalTime());
    }
    t.lastPosition = firstScheduled;
  }

  private void requireLimits(int admitted, long tokens) {
    if (freeBlocks < 0
        || freeSwapBlocks < 0
        || tokens > config.limits().maxTokens()
        || plan.size() > config.limits().maxSequences()) {
      throw stop(
          ConformanceProperty.NO_OVERFLOW_AT_ADMISSION,
          "the plan leaves "
              + freeBlocks
              + " blocks and "
              + freeSwapBlocks
              + " swap blocks free, with "
              + tokens
              + " tokens of "
              + plan.size()
              + " sequences, limits are "
              + config.limits(),
          null);
    }
    if (freeBlocks != plan.freeBlocks()) {
      throw stop(
          ConformanceProperty.CONSERVATION,
          "the plan says "
              + plan.freeBlocks()
              + " blocks are free, by the driver's books "
              + freeBlocks,
          null);
    }
    if (residents + swapped > config.limits().maxSequences()) {
      note(
          ConformanceProperty.NO_OVERFLOW_AT_ADMISSION,
          residents
              + " requests are resident and "
              + swapped
              + " swapped, more than maxSequences="
              + config.limits().maxSequences());
    }
    if (admitted > 0 && promisedBlocks > freeBlocks) {
      note(
          ConformanceProperty.NO_OVERFLOW_AT_ADMISSION,
          "plan "
              + iteration
              + " admits "
              + admitted
              + " and leaves "
              + freeBlocks
              + " blocks free, but the rest of the prompts under way takes "
              + promisedBlocks
              + "; the last admitted is "
              + plan.request(plan.size() - 1));
    }
  }

  private void checkDecisionLog(int waiting, int admitted) {
    boolean explained = false;
    for (int i = 0; i < plan.heldCount(); i++) {
      Request request = plan.held(i);
      if (!(request.driverState() instanceof Tracked t) || t.ended) {
        note(ConformanceProperty.DECISION_LOG, "holds one that is not there: " + request);
        continue;
      }
      if (request.scheduledTokens() > 0) {
        note(ConformanceProperty.DECISION_LOG, "holds one that it schedules: " + request);
      }
      explained |= request.state() != RequestState.RESIDENT;
      note(-1 - plan.holdReason(i).ordinal(), t);
    }
    if (waiting > 0 && admitted == 0 && !explained) {
      note(
          ConformanceProperty.DECISION_LOG,
          "plan "
              + iteration
              + " admits none of the "
              + waiting
              + " who wait and holds none of them; there are "
              + some());
    }
    for (int i = 0; i < plan.predictionCount(); i++) {
      Request request = plan.predicted(i);
      if (request.scheduledTokens() == 0) {
        note(ConformanceProperty.DECISION_LOG, "predicts for one it does not schedule: " + request);
      }
      digest = 31 * digest + Double.hashCode(plan.overflowProbability(i));
    }
  }

  private void iterate() {
    long tokens = 0;
    for (int i = 0; i < plan.size(); i++) {
      tokens += tracked("schedules", plan.request(i)).length;
    }
    double seconds = config.cost().seconds(tokens);
    usedBlockSeconds += seconds * (memory.blocks() - freeBlocks);
    now += seconds;
    plan.commit();
    for (int i = 0; i < plan.size(); i++) {
      Request request = plan.request(i);
      Tracked t = tracked("schedules", request);
      if (t.pendingTokens() == 0) {
        t.generated++;
      }
      if (request.cachedTokens() != t.length || request.generatedTokens() != t.generated) {
        throw stop(
            ConformanceProperty.CONSERVATION,
            "the books say cached=" + t.length + " generated=" + t.generated + ", not " + request,
            null);
      }
      if (t.generated == t.job.outputTokens()) {
        complete(t);
      }
    }
  }

  private void failBatch() {
    plan.abandon();
    for (int i = 0; i < plan.size(); i++) {
      cancelled++;
      end(tracked("schedules", plan.request(i)));
    }
  }

  private void complete(Tracked t) {
    long due = t.job.promptTokens() + t.job.outputTokens() - 1 + t.recomputedTokens;
    if (t.computedTokens != due || t.request.recomputedTokens() != t.recomputedTokens) {
      note(
          ConformanceProperty.CONSERVATION,
          t.computedTokens + " tokens were computed, not " + due + ", for " + t.request);
    }
    completed++;
    outputTokens += t.job.outputTokens();
    end(t);
  }

  /** The plan is empty: time passes until somebody arrives or the scheduler wants to be asked. */
  private void sleep() {
    double arrival = arrivals.nextTime(now, alive.size());
    double next = Math.min(arrival, plan.wakeTime());
    emptyPlans++;
    if (emptyPlans > EMPTY_PLANS) {
      note(
          ConformanceProperty.WAKE_UP,
          EMPTY_PLANS + " plans in a row are empty though nobody arrived, now for " + some());
      next = arrival;
    } else if (next == Double.POSITIVE_INFINITY) {
      boolean lost = plan.heldCount() == 0;
      if (lost) {
        // That is why nothing was said about them.
        findings.removeIf(f -> f.property() == ConformanceProperty.DECISION_LOG);
      }
      note(
          lost ? ConformanceProperty.CONSERVATION : ConformanceProperty.DRAIN,
          (lost ? "lost: " : "held for " + plan.holdReason(0) + ", and nothing will change that: ")
              + some());
    }
    if (Double.isNaN(next) || next == Double.POSITIVE_INFINITY) {
      while (!alive.isEmpty()) {
        end(alive.getLast());
      }
      return;
    }
    next = Math.max(now, next);
    usedBlockSeconds += (next - now) * (memory.blocks() - freeBlocks);
    now = next;
  }

  private void cancelThoseDue() {
    while (!toCancel.isEmpty() && toCancel.element().job.cancelAtIteration() <= iteration) {
      Tracked t = toCancel.remove();
      if (!t.ended) {
        cancelled++;
        cancellations.merge(standing(t), 1, Integer::sum);
        emptyPlans = 0;
        end(t);
      }
    }
  }

  private Standing standing(Tracked t) {
    if (t.swappedBlocks > 0) {
      return Standing.SWAPPED;
    }
    if (t.blocks == 0) {
      return t.wasScheduled() ? Standing.EVICTED : Standing.NEW;
    }
    if (!t.isDecoding()) {
      return Standing.PREFILLING;
    }
    return t.lastPlan == iteration - 1 ? Standing.DECODING : Standing.PAUSED;
  }

  private void end(Tracked t) {
    if (t.blocks > 0) {
      residents--;
    }
    if (t.swappedBlocks > 0) {
      swapped--;
    }
    if (!t.wasScheduled()) {
      backlog--;
    }
    freeBlocks += t.blocks;
    freeSwapBlocks += t.swappedBlocks;
    promisedBlocks -= t.promisedBlocks;
    t.ended = true;
    Tracked last = alive.removeLast();
    if (last != t) {
      alive.set(t.slot, last);
      last.slot = t.slot;
    }
    if (t.request.state() == RequestState.FINISHED) {
      throw stop(ConformanceProperty.CONSERVATION, "ended by the scheduler: " + t.request, null);
    }
    t.request.finish();
    departed(t);
    arrivals.departed(t.request);
  }

  private void departed(Tracked t) {
    try {
      scheduler.departed(t.request, now);
    } catch (RuntimeException | AssertionError e) {
      throw crash("departed()", e);
    }
  }

  private void requireWholePool() {
    if (freeBlocks != memory.blocks() || freeSwapBlocks != memory.swapBlocks()) {
      note(
          ConformanceProperty.CONSERVATION,
          freeBlocks
              + " blocks and "
              + freeSwapBlocks
              + " swap blocks are free at the end, not all of "
              + memory);
    }
  }

  private Tracked tracked(String what, Request request) {
    if (!(request.driverState() instanceof Tracked t) || t.request != request) {
      throw stop(ConformanceProperty.CONSERVATION, what + " who never arrived: " + request, null);
    }
    if (t.ended) {
      throw stop(
          t.refused ? ConformanceProperty.REFUSAL : ConformanceProperty.CONSERVATION,
          what + " who is gone: " + request,
          null);
    }
    return t;
  }

  private String some() {
    List<Request> named =
        alive.stream()
            .map(t -> t.request)
            .sorted(Comparator.comparingLong(Request::id))
            .limit(NAMED)
            .toList();
    return named + (alive.size() > NAMED ? " and " + (alive.size() - NAMED) + " more" : "");
  }

  private Stop crash(String call, Throwable e) {
    StackTraceElement[] trace = e.getStackTrace();
    return stop(
        ConformanceProperty.RANDOM_WORKLOADS,
        call + " threw " + e + (trace.length > 0 ? " at " + trace[0] : ""),
        e);
  }

  private void note(ConformanceProperty property, String message) {
    note(property, message, null);
  }

  private void note(ConformanceProperty property, String message, Throwable cause) {
    add(property, message, false, cause);
  }

  private Stop stop(ConformanceProperty property, String message, Throwable cause) {
    add(property, message, true, cause);
    return new Stop();
  }

  private void add(ConformanceProperty property, String message, boolean stopped, Throwable cause) {
    if (stopped || findings.stream().noneMatch(f -> f.property() == property)) {
      findings.add(new Finding(property, message, stopped, cause));
    }
  }

  private void note(int what, Tracked t) {
    digest = 31 * (31 * digest + what) + t.index;
  }

  /** What came of the run so far. */
  Outcome outcome() {
    return new Outcome(
        iteration,
        now,
        completed,
        cancelled,
        outputTokens,
        evictions,
        recomputedTokens,
        usedBlockSeconds / now / memory.blocks(),
        longestWait,
        inArrivalOrder,
        digest);
  }

  /** The digest after every plan. */
  List<Long> history() {
    return history;
  }

  /** Everybody's whereabouts, in order of time. */
  Map<Standing, List<Sighting>> sightings() {
    return sightings;
  }

  /** The most requests that waited for their first iteration at the same time. */
  long peakBacklog() {
    return peakBacklog;
  }

  double lastArrival() {
    return lastArrival;
  }

  /** How far the {@code n}-th arrival came after place {@code 2n} of first iterations, at most. */
  long latestPosition() {
    return latestPosition;
  }

  String latest() {
    return latest;
  }

  /** How many were scheduled for the first time while an admitted request was not, at most. */
  long mostPassedBy() {
    return mostPassedBy;
  }

  String passedBy() {
    return passedBy;
  }

  Map<Standing, Integer> cancellations() {
    return cancellations;
  }
}
