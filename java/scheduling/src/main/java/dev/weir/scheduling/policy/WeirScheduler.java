package dev.weir.scheduling.policy;

import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.estimate.ArrivalRateEstimator;
import dev.weir.scheduling.estimate.SurvivalEstimator;
import java.util.Arrays;
import java.util.function.ObjDoubleConsumer;

/**
 * Certified admission with online estimates, paced, in segments ({@code scheduling.md} section 5).
 * Requests enter in order of arrival, each if all of this lets it in:
 *
 * <ul>
 *   <li><b>Headroom.</b> The pool holds its prompt now, and whatever the horizon, the memory that
 *       all residents are expected to hold, plus {@code z} standard deviations, fits the pool
 *       ({@link MemoryForecast}). Lengths are not known; how they are distributed is learned while
 *       serving ({@link SurvivalEstimator}), from running requests as well as from finished ones.
 *       The probability that this admission leads to an overflow goes into the decision log.
 *   <li><b>Pace.</b> While memory is scarce, no more enter than a multiple of what fills the pool
 *       in the fluid equilibrium ({@link AdmissionPacer}). While it is tight, several enter at a
 *       time, if several wait: enough to fill a tile of prefill (below). That is the threshold at
 *       the entrance of WAIT.
 *   <li><b>Segments.</b> While memory is scarce, a resident that reaches the boundary of a segment
 *       waits there, keeping its blocks, if the next segment is at its cap ({@link SegmentCaps}).
 * </ul>
 *
 * <p>Memory is scarce when the expected peak of the residents is more than half of the pool, and
 * tight when it is more than 85 %. Before that, nobody is held for anything but headroom.
 *
 * <p><b>Growth.</b> Every resident that does not wait at a boundary advances in every iteration,
 * decodes before prefill, in order of arrival. When the last blocks go, the younger yield to the
 * older: a resident may take a block only if it leaves free a share of the pool that is 0 for the
 * oldest and {@link Settings#growthReserve} for the youngest. One that may not, stalls: it keeps
 * its blocks and waits for somebody to end. So the older ones, which hold the most and have the
 * most to lose, come to their end with the last blocks, and almost nothing is ever evicted. Only if
 * nobody can advance is the youngest evicted, as often as the oldest needs to.
 *
 * <p><b>Prefill tiles.</b> A GPU takes nearly as long for 180 tokens as for 256. While memory is
 * tight, prefill fills an iteration to a multiple of {@link Settings#prefillTile} tokens, and goes
 * no further than the pace requires.
 *
 * <p><b>Small pools.</b> With few requests in the pool, the sum of their lengths varies by a large
 * share of it. A margin of {@code z} standard deviations would leave much of the pool unused, those
 * that stall would hold much of it, and to compute the little again that the youngest has is cheap
 * beside that. So if fewer than {@link Settings#few} requests run in the equilibrium of a full
 * pool, the margin is at most 4 % of it, the forecast looks 64 iterations ahead, nobody waits for
 * pace or segment, and when more than a tenth of the residents stall, the youngest of them is
 * evicted.
 *
 * <p>The oldest request that has not ended always advances in the end: it is admitted first, takes
 * blocks first, and can evict all others; and while anybody stalls, nobody is admitted. With
 * lengths that nobody has seen and no declared distribution, everybody is expected to generate its
 * declared maximum, which is safe and slow until the first requests have ended.
 */
final class WeirScheduler implements Scheduler {
  /**
   * What can be chosen.
   *
   * @param z standard deviations that an admission must leave between the expected memory and the
   *     pool
   * @param pace admissions an iteration, relative to {@code C / W}; 0 for no pace
   * @param burst admissions that may be saved up, at least 1
   * @param segments at least 1; 1 for none
   * @param slack cap of a segment, relative to the fluid equilibrium
   * @param growthReserve share of the pool, at least 0
   * @param prefillTile tokens, 0 for no tiles
   * @param few a pool for fewer requests than this, in equilibrium, is small; 0 for never
   * @param online whether the estimates follow what is seen; otherwise they stay as declared
   * @param memory departures and arrivals that an estimate remembers
   */
  record Settings(
      double z,
      double pace,
      double burst,
      int segments,
      double slack,
      double growthReserve,
      int prefillTile,
      int few,
      boolean online,
      double memory) {}

  /** In a small pool, the margin of an admission is at most this share of it. */
  private static final double FEW_MARGIN = 0.04;

  /** In a small pool, the iterations that the forecast looks ahead. */
  private static final int FEW_HORIZON = 64;

  /** In a small pool, the share of residents that may stall before the youngest is evicted. */
  private static final double FEW_STALLED = 0.1;

  /** Share of the pool above which memory is scarce. */
  private static final double SCARCE = 0.5;

  /** Share of the pool above which memory is tight. */
  private static final double TIGHT = 0.85;

  /** Requests that a declared distribution counts as. */
  private static final double DECLARED_WEIGHT = 64;

  /**
   * The estimates are looked at again after this share of the departures that they rest on, so
   * often at first and seldom in the long run.
   */
  private static final double REFRESH_SHARE = 1 / 16.0;

  /** Survival probability by which the estimates must move to be adopted. */
  private static final double REFRESH_TOLERANCE = 0.005;

  /** Share of itself by which the mean prompt must move for the estimates to be adopted. */
  private static final double PROMPT_TOLERANCE = 0.1;

  /**
   * Share of the requests that run in equilibrium of a full pool. So many may be saved up by the
   * pace, if that is more than the burst, and no more than that enter at a time.
   */
  private static final double COHORT = 1 / 8.0;

  /** The least that prefill gets of an iteration, tokens. */
  private static final int LEAST_PREFILL = 32;

  private static final class Node extends RequestQueue.Node {
    /** Interval of the estimator that it has reached. */
    int interval;

    int segment;
    boolean paused;
    boolean stalled;

    Node(Request request, long order) {
      super(request, order);
    }
  }

  private final KvCapacity memory;
  private final IterationCost cost;
  private final Settings settings;

  private final SurvivalEstimator survival;
  private final ArrivalRateEstimator arrivalRate;
  private final MemoryForecast forecast;
  private final AdmissionPacer pacer;
  private final SegmentCaps segments;

  private double promptMean;
  private double promptWeight;

  /** The mean when the estimates were last adopted. */
  private double adoptedPromptMean;

  private int longestOutput;
  private double work;
  private double cohort = 1;

  /** Requests that run in equilibrium of a full pool. */
  private double running = Double.POSITIVE_INFINITY;

  private final boolean declared;
  private long departures;
  private int departuresSinceRefresh;

  private final RequestQueue waiting = new RequestQueue();
  private final RequestQueue swapped = new RequestQueue();

  /** In order of arrival. */
  private final Node[] residents;

  private int residentCount;
  private final int[] occupancy;
  private int pausedCount;
  private int stalledCount;
  private boolean scarce;
  private boolean tight;
  private int prefillLeft;
  private double lastOverflowProbability;
  private double now;
  private long arrivals;

  private final String[] occupancyNames;
  private final String[] capNames;

  WeirScheduler(SchedulerConfig config, Settings settings) {
    this.memory = config.memory();
    this.cost = config.cost();
    this.settings = settings;
    declared = config.workload().isPresent();
    residents = new Node[config.limits().maxSequences()];
    int longest = (int) Math.min(memory.tokens(), Integer.MAX_VALUE / 2);
    survival = new SurvivalEstimator(longest, settings.memory());
    arrivalRate = new ArrivalRateEstimator(settings.memory());
    forecast = new MemoryForecast(longest, survival.intervals(), memory.blockSize());
    pacer = new AdmissionPacer(settings.burst());
    segments = new SegmentCaps(settings.segments(), settings.slack());
    occupancy = new int[segments.segments()];
    occupancyNames = names("segment_occupancy");
    capNames = names("segment_capacity");
    config
        .workload()
        .ifPresent(
            workload -> {
              survival.expect(workload.outputTokens(), DECLARED_WEIGHT);
              arrivalRate.expect(workload.arrivalRate(), DECLARED_WEIGHT);
              promptMean = workload.promptTokens().mean();
              promptWeight = DECLARED_WEIGHT;
              longestOutput = workload.outputTokens().max();
              adopt();
            });
  }

  private String[] names(String metric) {
    String[] names = new String[segments.segments()];
    for (int k = 0; k < names.length; k++) {
      names[k] = metric + "{segment=\"" + (k + 1) + "\"}";
    }
    return names;
  }

  @Override
  public void arrived(Request request, double now) {
    memory.requireFits(request);
    Node node = new Node(request, arrivals++);
    request.setSchedulerState(node);
    waiting.append(node);
    if (settings.online()) {
      arrivalRate.arrived(now);
      promptWeight = Math.min(promptWeight + 1, settings.memory());
      promptMean += (request.promptTokens() - promptMean) / promptWeight;
    }
    if (request.maxOutputTokens() > longestOutput) {
      longestOutput = request.maxOutputTokens();
      adopt();
    }
  }

  @Override
  public void departed(Request request, double now) {
    Node node = (Node) request.schedulerState();
    if (settings.online() && request.generatedTokens() > 0) {
      observe(node);
      survival.ended(request.generatedTokens());
      departures++;
      departuresSinceRefresh++;
    }
    if (node.queue() != null) {
      node.queue().remove(node);
    } else {
      removeResident(indexOf(node));
    }
  }

  /**
   * Follows a request through the intervals. One that was evicted has been seen at these lengths
   * before, and is not counted again.
   */
  private void observe(Node node) {
    while (node.interval < survival.intervals() - 1
        && survival.end(node.interval) < node.request.generatedTokens()) {
      if (settings.online()) {
        survival.survived(node.interval);
      }
      node.interval++;
    }
  }

  private boolean promptsMoved() {
    return Math.abs(promptMean - adoptedPromptMean) > PROMPT_TOLERANCE * adoptedPromptMean;
  }

  private void adopt() {
    adoptedPromptMean = promptMean;
    survival.limit(longestOutput);
    survival.adopt();
    forecast.use(survival, longestOutput);
    double prompt = promptMean + (memory.blockSize() - 1) / 2.0;
    double output = survival.mean();
    work = prompt * (output + 1) + (survival.secondMoment() + output) / 2;
    double full = memory.tokens() / work;
    running = full * output;
    if (settings.pace() > 0) {
      cohort = COHORT * running;
      pacer.setPace(settings.pace() * full);
      pacer.setBurst(Math.max(settings.burst(), cohort));
    }
    segments.use(survival, full);
  }

  @Override
  public void plan(IterationPlan plan) {
    now = plan.now();
    pacer.tick();
    for (int i = 0; i < residentCount; i++) {
      observe(residents[i]);
    }
    if (settings.online()) {
      if (departuresSinceRefresh > REFRESH_SHARE * Math.min(departures, settings.memory())) {
        departuresSinceRefresh = 0;
        if (survival.moved() > REFRESH_TOLERANCE || promptsMoved()) {
          adopt();
        }
      }
    }
    if (next() == null) {
      scarce = false;
      tight = false;
    }
    passBoundaries();
    decode(plan);
    prefill(plan);
    if (few()) {
      relieve(plan);
    }
    if (plan.size() == 0 && residentCount > 0) {
      advanceTheOldest(plan);
    }
    if (pausedCount + stalledCount > 0) {
      holdResidents(plan);
    }
    if (next() != null) {
      if (plan.evictionCount() > 0 || stalledCount > 0) {
        plan.hold(next().request, HoldReason.MEMORY);
      } else {
        admit(plan);
      }
    }
  }

  private Node next() {
    return (Node) (swapped.first() != null ? swapped.first() : waiting.first());
  }

  private void passBoundaries() {
    for (int k = 0; k < occupancy.length; k++) {
      occupancy[k] = 0;
    }
    for (int i = 0; i < residentCount; i++) {
      Node node = residents[i];
      int reached = segments.segmentOf(node.request.generatedTokens());
      node.stalled = false;
      node.paused = reached > node.segment;
      node.segment = Math.min(node.segment, reached);
      if (!node.paused) {
        occupancy[reached]++;
      }
    }
    pausedCount = 0;
    for (int i = 0; i < residentCount; i++) {
      Node node = residents[i];
      if (!node.paused) {
        continue;
      }
      int reached = segments.segmentOf(node.request.generatedTokens());
      if (!scarce || few() || occupancy[reached] < segments.cap(reached)) {
        occupancy[reached]++;
        node.segment = reached;
        node.paused = false;
      } else {
        pausedCount++;
      }
    }
  }

  private void decode(IterationPlan plan) {
    stalledCount = 0;
    for (int i = 0; i < residentCount && plan.remainingTokens() > 0; i++) {
      Node node = residents[i];
      if (!node.paused && node.request.isDecoding()) {
        advance(plan, i, 1);
      }
    }
  }

  private void prefill(IterationPlan plan) {
    prefillLeft = plan.remainingTokens();
    if (tight && settings.prefillTile() > 0) {
      prefillLeft = Math.min(prefillLeft, prefillOfTiles(plan.size()));
    }
    for (int i = 0; i < residentCount && prefillLeft > 0; i++) {
      Node node = residents[i];
      if (!node.paused && !node.request.isDecoding()) {
        int tokens = Math.min(node.request.pendingTokens(), prefillLeft);
        prefillLeft -= advance(plan, i, tokens);
      }
    }
  }

  /**
   * Tokens that fill an iteration of {@code decodes} to the number of tiles that is nearest to what
   * the equilibrium of a full pool needs.
   */
  private int prefillOfTiles(int decodes) {
    double needed = decodes + memory.tokens() / work * promptMean;
    double tile = settings.prefillTile();
    double tiles = Math.max(Math.rint(needed / tile), Math.ceil((decodes + LEAST_PREFILL) / tile));
    return (int) (tiles * tile) - decodes;
  }

  /** Returns how many of {@code tokens} are scheduled: as many as the blocks it may take hold. */
  private int advance(IterationPlan plan, int index, int tokens) {
    Request request = residents[index].request;
    double share = few() ? 0 : settings.growthReserve();
    double reserve = share * memory.blocks() * index / residentCount;
    long allowed = Math.max(0, plan.freeBlocks() - (long) Math.ceil(reserve));
    long room =
        (memory.blocksFor(request.cachedTokens()) + allowed) * memory.blockSize()
            - request.cachedTokens();
    int scheduled = (int) Math.min(tokens, room);
    if (scheduled == 0 || !plan.schedule(request, scheduled)) {
      residents[index].stalled = true;
      stalledCount++;
      return 0;
    }
    return scheduled;
  }

  /** Evicts the youngest of those that stall, until no more than a tenth of the residents do. */
  private void relieve(IterationPlan plan) {
    while (stalledCount > FEW_STALLED * residentCount) {
      int victim = residentCount - 1;
      while (!residents[victim].stalled) {
        victim--;
      }
      if (victim == 0) {
        return;
      }
      evict(plan, victim);
      stalledCount--;
      for (int i = 0; i < victim; i++) {
        Node node = residents[i];
        if (node.stalled) {
          node.stalled = false;
          stalledCount--;
          // Without budget it is not for want of memory that it does not advance.
          if (plan.remainingTokens() > 0) {
            advance(plan, i, 1);
          }
        }
      }
    }
  }

  private void evict(IterationPlan plan, int index) {
    Node victim = residents[index];
    removeResident(index);
    plan.evict(victim.request);
    (victim.request.state() == RequestState.SWAPPED ? swapped : waiting).insert(victim);
  }

  private void advanceTheOldest(IterationPlan plan) {
    Node oldest = residents[0];
    if (oldest.paused) {
      oldest.paused = false;
      oldest.segment = segments.segmentOf(oldest.request.generatedTokens());
    }
    int tokens = Math.min(oldest.request.pendingTokens(), plan.remainingTokens());
    while (!plan.schedule(oldest.request, tokens)) {
      evict(plan, residentCount - 1);
    }
  }

  /** Of those that wait at a boundary and of those that stall, the oldest goes into the log. */
  private void holdResidents(IterationPlan plan) {
    boolean anyPaused = false;
    boolean anyStalled = false;
    for (int i = 0; i < residentCount; i++) {
      Node node = residents[i];
      if (node.request.scheduledTokens() > 0) {
        continue;
      }
      if (node.paused && !anyPaused) {
        anyPaused = true;
        plan.hold(node.request, HoldReason.SEGMENT_FULL);
      } else if (node.stalled && !anyStalled) {
        anyStalled = true;
        plan.hold(node.request, HoldReason.MEMORY);
      }
    }
  }

  private void admit(IterationPlan plan) {
    forecast.clear();
    for (int i = 0; i < residentCount; i++) {
      Node node = residents[i];
      Request request = node.request;
      forecast.add(
          node.interval,
          request.promptTokens(),
          request.generatedTokens(),
          request.maxOutputTokens());
    }
    forecast.sum();
    boolean open = false;
    long promised = promisedBlocks();
    for (Node node = next(); node != null; node = next()) {
      Request request = node.request;
      long needed = memory.blocksFor((long) request.promptTokens() + request.generatedTokens());
      long left = plan.freeBlocks() - promised - needed;
      forecast.include(
          node.interval,
          request.promptTokens(),
          request.generatedTokens(),
          request.maxOutputTokens());
      scarce = forecast.peak() > SCARCE * memory.tokens();
      tight = forecast.peak() > TIGHT * memory.tokens();
      HoldReason reason = obstacle(plan, node, left, open);
      if (reason != null) {
        plan.hold(request, reason);
        return;
      }
      open = true;
      lastOverflowProbability = forecast.overflowProbability(memory.tokens());
      plan.predictOverflow(request, lastOverflowProbability);
      if (request.state() == RequestState.SWAPPED) {
        plan.resume(request);
      }
      int tokens = Math.min(request.pendingTokens(), prefillLeft);
      if (!plan.schedule(request, tokens)) {
        throw new IllegalStateException("refused although it fits: " + request);
      }
      prefillLeft -= tokens;
      promised += needed - memory.blocksFor((long) request.cachedTokens() + tokens);
      node.queue().remove(node);
      insertResident(node);
      pacer.admitted();
    }
  }

  /**
   * Why a request may not enter now, or null if it may.
   *
   * @param left blocks that would be free with all prompts complete
   * @param open whether somebody was admitted in this iteration
   */
  private HoldReason obstacle(IterationPlan plan, Node node, long left, boolean open) {
    if (residentCount + swapped.size() - (node.queue() == swapped ? 1 : 0) >= residents.length) {
      return HoldReason.SEQUENCE_LIMIT;
    }
    if (prefillLeft <= 0) {
      return HoldReason.TOKEN_BUDGET;
    }
    if (left < 0) {
      return HoldReason.MEMORY;
    }
    if (residentCount == 0) {
      return null;
    }
    if (!fits()) {
      return HoldReason.MEMORY_BUFFER;
    }
    if (!scarce || few() || pacer.allows(open || !tight ? 1 : threshold())) {
      return null;
    }
    return pacer.allows(1) ? HoldReason.THRESHOLD : HoldReason.PACING;
  }

  /** Not before lengths are known: until then a pool looks smaller than it is. */
  private boolean few() {
    return running < settings.few() && (declared || departures >= SurvivalEstimator.ENOUGH);
  }

  private boolean fits() {
    double capacity = memory.tokens();
    return few()
        ? forecast.fits(capacity, settings.z(), FEW_MARGIN * capacity, FEW_HORIZON)
        : forecast.fits(capacity, settings.z(), capacity, Integer.MAX_VALUE);
  }

  /** Requests that enter at a time: those whose prompts fill the tile, if so many wait. */
  private int threshold() {
    int count = 0;
    if (settings.prefillTile() > 0) {
      long tokens = 0;
      RequestQueue.Node node = waiting.first();
      while (node != null && tokens < prefillLeft && count + 1 <= cohort) {
        tokens += node.request.pendingTokens();
        count++;
        node = node.next();
      }
    }
    return Math.max(1, count);
  }

  /** Blocks that residents still take to complete their prompts. */
  private long promisedBlocks() {
    long blocks = 0;
    for (int i = 0; i < residentCount; i++) {
      Request request = residents[i].request;
      int left = request.pendingTokens() - request.scheduledTokens();
      if (left > 0) {
        long known = (long) request.cachedTokens() + request.scheduledTokens();
        blocks += memory.blocksFor(known + left) - memory.blocksFor(known);
      }
    }
    return blocks;
  }

  private void insertResident(Node node) {
    int index = residentCount++;
    while (index > 0 && residents[index - 1].order > node.order) {
      residents[index] = residents[index - 1];
      index--;
    }
    residents[index] = node;
    node.paused = false;
    node.segment = segments.segmentOf(node.request.generatedTokens());
  }

  private void removeResident(int index) {
    residentCount--;
    System.arraycopy(residents, index + 1, residents, index, residentCount - index);
    residents[residentCount] = null;
  }

  private int indexOf(Node node) {
    for (int i = 0; i < residentCount; i++) {
      if (residents[i] == node) {
        return i;
      }
    }
    throw new IllegalStateException("unknown request: " + node.request);
  }

  @Override
  public void gauges(ObjDoubleConsumer<String> sink) {
    // Counted afresh: requests have departed since the last plan.
    Arrays.fill(occupancy, 0);
    int paused = 0;
    int stalled = 0;
    for (int i = 0; i < residentCount; i++) {
      Node node = residents[i];
      if (node.paused) {
        paused++;
      } else {
        occupancy[node.segment]++;
        stalled += node.stalled ? 1 : 0;
      }
    }
    sink.accept("waiting", waiting.size());
    sink.accept("running", residentCount - paused - stalled);
    sink.accept("swapped", swapped.size());
    sink.accept("paused", paused);
    sink.accept("stalled", stalled);
    sink.accept("predicted_overflow_probability", lastOverflowProbability);
    if (work > 0) {
      double rate = arrivalRate.rate(now);
      double sustainable = memory.tokens() / (work * cost.seconds(memory.tokens()));
      sink.accept("sustainable_rate", sustainable);
      if (settings.pace() > 0) {
        sink.accept("admissions_per_iteration", pacer.pace());
      }
      if (Double.isFinite(rate)) {
        sink.accept("arrival_rate", rate);
        sink.accept("stability_margin", 1 - rate / sustainable);
      }
      double load = cost.secondsPerToken() * rate * work;
      if (load < 1) {
        sink.accept("fluid_kv_tokens", cost.fixedSeconds() / (1 - load) * rate * work);
      }
    }
    for (int k = 0; k < occupancy.length; k++) {
      // Segments that the lengths do not need have no cap, and nobody gets there.
      if (Double.isFinite(segments.cap(k))) {
        sink.accept(occupancyNames[k], occupancy[k]);
        sink.accept(capNames[k], segments.cap(k));
      }
    }
  }
}
