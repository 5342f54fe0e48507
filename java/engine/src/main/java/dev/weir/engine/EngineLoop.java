package dev.weir.engine;

import dev.weir.runtime.ClosedException;
import dev.weir.runtime.DeviceMemoryException;
import dev.weir.runtime.InvalidModelException;
import dev.weir.runtime.KvCache;
import dev.weir.runtime.KvCacheStatistics;
import dev.weir.runtime.ModelInfo;
import dev.weir.runtime.OutOfBlocksException;
import dev.weir.runtime.OutOfSwapException;
import dev.weir.runtime.Step;
import dev.weir.runtime.WeirException;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Scheduler;
import java.lang.invoke.VarHandle;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import java.util.PriorityQueue;
import java.util.concurrent.CountDownLatch;
import java.util.function.Consumer;

/**
 * The one thread that owns the KV cache, the step and the scheduler. In a steady state an iteration
 * allocates nothing, unless a token asks for the log-probabilities of others, or completes a
 * character that is spread over several tokens.
 */
final class EngineLoop implements Runnable {
  private static final System.Logger LOGGER = System.getLogger(EngineLoop.class.getName());

  private static final TokenLogProbability[] NO_TOP = {};

  /** A policy that asks to be woken in the past must not keep the thread spinning. */
  private static final long SHORTEST_SLEEP_NANOS = 100_000;

  private final Mailbox mailbox;
  private final Counters counters;
  private final Scheduler scheduler;
  private final IterationPlan plan;
  private final KvCache cache;
  private final Step step;
  private final Consumer<Step> stepRunner;
  private final Watchdog watchdog;
  private final CountDownLatch ended = new CountDownLatch(1);
  private final Runnable releaseResources;
  private final Listeners listeners;
  private final long originNanos;
  private final int[] endTokens;

  private final ArrayDeque<ActiveRequest> submitted = new ArrayDeque<>();
  private final ArrayDeque<Generation> cancelled = new ArrayDeque<>();
  private final IdentityHashMap<Request, ActiveRequest> active = new IdentityHashMap<>();
  private final IdentityHashMap<Generation, ActiveRequest> byGeneration = new IdentityHashMap<>();
  private final PriorityQueue<ActiveRequest> deadlines =
      new PriorityQueue<>(
          (a, b) ->
              Long.signum(
                  (a.submittedNanos + a.deadlineNanos) - (b.submittedNanos + b.deadlineNanos)));
  private final ActiveRequest[] batch;
  private final ReaderWaker waker = new ReaderWaker();
  private final Generation[] delivered;
  private final IterationEvent event;
  private final Consumer<EngineListener> iterationNotice;

  /** Of requests that listeners have not been told about. */
  private final ArrayList<RequestEnd> ends = new ArrayList<>();

  /** A request whose generation is about to end, and which is not in {@link #active} any more. */
  private ActiveRequest ending;

  private int deliveries;
  private int resident;
  private int swapped;
  private volatile KvCacheStatistics lastStatistics;

  /**
   * @param stepRunner runs a step that is filled
   * @param stepTimeout how long a call of the device may take; zero for as long as it likes
   * @param releaseResources when the engine's thread ends
   */
  EngineLoop(
      Mailbox mailbox,
      Counters counters,
      Scheduler scheduler,
      IterationPlan plan,
      KvCache cache,
      Step step,
      Consumer<Step> stepRunner,
      Duration stepTimeout,
      Runnable releaseResources,
      Listeners listeners,
      ModelInfo model,
      long originNanos) {
    this.mailbox = mailbox;
    this.counters = counters;
    this.scheduler = scheduler;
    this.plan = plan;
    this.cache = cache;
    this.step = step;
    this.stepRunner = stepRunner;
    watchdog = new Watchdog(stepTimeout, EngineLoop::warnOfStall, this::takeOver);
    this.releaseResources = releaseResources;
    this.listeners = listeners;
    this.originNanos = originNanos;
    endTokens = endTokens(model);
    batch = new ActiveRequest[plan.limits().maxSequences()];
    delivered = new Generation[plan.limits().maxSequences()];
    event = new IterationEvent(scheduler, plan);
    iterationNotice = listener -> listener.iteration(event);
    event.blocks = plan.memory().blocks();
    lastStatistics = cache.statistics();
  }

  private static int[] endTokens(ModelInfo model) {
    List<Integer> tokens = new ArrayList<>(model.eosTokens());
    model.bosToken().ifPresent(tokens::add);
    return tokens.stream().mapToInt(Integer::intValue).toArray();
  }

  /** May be called from any thread, also after the end. */
  KvCacheStatistics statistics() {
    try {
      return cache.statistics();
    } catch (ClosedException _) {
      return lastStatistics;
    }
  }

  /**
   * Waits until every request has ended, and the device was released unless it hangs.
   *
   * @throws InterruptedException if the waiting thread is interrupted
   */
  void awaitEnd() throws InterruptedException {
    ended.await();
  }

  /** Whether a call of the device takes suspiciously long. */
  boolean stalled() {
    return watchdog.stalled();
  }

  @Override
  public void run() {
    Throwable failure = null;
    try {
      waker.start();
      watchdog.start();
      serve();
    } catch (Throwable t) { // whatever it is, nobody may be left waiting
      failure = t;
    }
    watchdog.end();
    if (watchdog.tookOver()) {
      LOGGER.log(
          System.Logger.Level.WARNING, "the device has returned, after the engine has failed");
    } else {
      if (failure != null) {
        end(failure);
      }
      waker.end();
    }
    release();
    ended.countDown();
  }

  private void end(Throwable failure) {
    mailbox.terminate(failure);
    failAll(failure);
    LOGGER.log(System.Logger.Level.ERROR, "the engine has failed", failure);
  }

  private static void warnOfStall(Duration duration) {
    LOGGER.log(
        System.Logger.Level.WARNING,
        "the device has not returned from a step for {0}; after twice that time (stepTimeout) the"
            + " engine fails",
        duration);
  }

  /** On the watchdog's thread, while the engine's own is in a call of the device. */
  private void takeOver(StepTimeoutException failure) {
    try {
      end(failure);
      waker.end();
    } finally {
      ended.countDown();
    }
  }

  private void serve() {
    while (true) {
      mailbox.collect(submitted, cancelled);
      long nanos = System.nanoTime();
      double now = seconds(nanos);
      admit(now);
      cancelRequested(now);
      expire(nanos, now);
      long nanosUntilCancel = mailbox.nanosUntilCancel(nanos);
      if (nanosUntilCancel <= 0) {
        cancelAll(now);
      }
      publishCounts();
      reportEnds();
      if (nanosUntilCancel != Long.MAX_VALUE && active.isEmpty() && mailbox.closeIfEmpty()) {
        return;
      }
      plan.begin(now, cache.freeBlocks(), cache.freeSwapBlocks());
      long planStart = System.nanoTime();
      scheduler.plan(plan);
      event.planTime = seconds(planStart);
      event.planSeconds = (System.nanoTime() - planStart) * 1e-9;
      if (plan.size() == 0 && plan.evictionCount() == 0 && plan.resumedCount() == 0) {
        mailbox.await(Math.min(nanosUntilCancel, nanosToSleep(nanos)));
      } else {
        iterate(nanos, now);
      }
    }
  }

  private double seconds(long nanoTime) {
    return (nanoTime - originNanos) * 1e-9;
  }

  private long nanosToSleep(long nanos) {
    long sleep = Long.MAX_VALUE;
    if (plan.wakeTime() < Double.POSITIVE_INFINITY) {
      double seconds = plan.wakeTime() - seconds(nanos);
      sleep = Math.max(SHORTEST_SLEEP_NANOS, (long) Math.ceil(seconds * 1e9));
    }
    ActiveRequest first = deadlines.peek();
    if (first != null) {
      sleep = Math.min(sleep, first.submittedNanos + first.deadlineNanos - nanos);
    }
    return sleep;
  }

  // ---- arrivals and departures

  private void admit(double now) {
    for (ActiveRequest request = submitted.peek(); request != null; request = submitted.peek()) {
      request.request.setDriverState(request);
      active.put(request.request, request);
      submitted.remove(); // after the put: whatever throws, failAll finds the request
      byGeneration.put(request.generation, request);
      if (request.deadlineNanos != ActiveRequest.NO_DEADLINE) {
        deadlines.add(request);
      }
      if (!listeners.isEmpty()) {
        report(arrival(request.request));
      }
      scheduler.arrived(request.request, now);
    }
  }

  private void cancelRequested(double now) {
    for (Generation generation = cancelled.poll();
        generation != null;
        generation = cancelled.poll()) {
      ActiveRequest request = byGeneration.get(generation);
      if (request != null) {
        finish(request, FinishReason.CANCELLED, now);
      }
    }
  }

  private void expire(long nanos, double now) {
    for (ActiveRequest first = deadlines.peek();
        first != null && first.expired(nanos);
        first = deadlines.peek()) {
      finish(first, FinishReason.DEADLINE, now);
    }
  }

  private void cancelAll(double now) {
    for (ActiveRequest request : List.copyOf(active.values())) {
      finish(request, FinishReason.CANCELLED, now);
    }
  }

  private void finish(ActiveRequest request, FinishReason reason, double now) {
    leave(request, now);
    counters.finished(reason);
    noteEnd(request, Optional.of(reason));
    request.generation.end(result(request, reason));
    ending = null;
  }

  private void fail(ActiveRequest request, WeirException cause, double now) {
    leave(request, now);
    counters.failed.increment();
    noteEnd(request, Optional.empty());
    request.generation.fail(
        new GenerationFailedException("the iteration failed: " + cause.getMessage(), cause));
    ending = null;
  }

  /** Leaves {@link #ending} set, so that the generation ends even if something here throws. */
  private void leave(ActiveRequest request, double now) {
    ending = request;
    active.remove(request.request);
    request.request.setDriverState(null);
    byGeneration.remove(request.generation);
    if (request.deadlineNanos != ActiveRequest.NO_DEADLINE) {
      deadlines.remove(request);
    }
    if (!request.started) {
      mailbox.started();
    }
    freeSequence(request);
    request.request.finish();
    scheduler.departed(request.request, now);
    event.finished++;
    publishCounts();
  }

  private void freeSequence(ActiveRequest request) {
    if (request.sequence != null) {
      if (request.sequence.isSwapped()) {
        swapped--;
      } else {
        resident--;
      }
      request.sequence.close();
      request.sequence = null;
    }
  }

  private static GenerationResult result(ActiveRequest request, FinishReason reason) {
    List<GeneratedToken> tokens = request.generation.delivered();
    int[] ids = new int[tokens.size()];
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < ids.length; i++) {
      ids[i] = tokens.get(i).id();
      text.append(tokens.get(i).text());
    }
    if (ids.length > 0 && (reason == FinishReason.CANCELLED || reason == FinishReason.DEADLINE)) {
      text.append(request.text.finish());
    }
    return new GenerationResult(
        request.generation.promptIds(),
        ids,
        text.toString(),
        reason,
        tokens,
        GenerationTimings.of(request, ids.length, System.nanoTime()),
        request.evictionNanoTimes(),
        request.request.recomputedTokens());
  }

  // ---- one iteration

  /** Null if it has left. */
  private static ActiveRequest activeOf(Request request) {
    return (ActiveRequest) request.driverState();
  }

  private void iterate(long nanos, double now) {
    event.iteration++;
    counters.iterations.increment();
    event.time = now;
    event.failed = false;
    event.stepTime = now;
    event.stepSeconds = 0;
    evict(now);
    resume(now);
    int entries = 0;
    int tokens = 0;
    int generated = 0;
    try {
      step.clear();
      for (int i = 0; i < plan.size(); i++) {
        ActiveRequest request = activeOf(plan.request(i));
        if (request != null) { // null if its swap-in has just failed
          tokens += request.request.scheduledTokens();
          add(request, nanos, entries);
          generated += event.sampled[entries++] ? 1 : 0;
        }
      }
      if (entries > 0) {
        runStep();
      }
      plan.commit();
    } catch (OutOfBlocksException | DeviceMemoryException | InvalidModelException e) {
      failIteration(e, now);
      entries = 0;
      tokens = 0;
      generated = 0;
    }
    event.peakUsedBlocks = event.blocks - cache.freeBlocks();
    event.sequences = entries;
    event.computedTokens = tokens;
    event.generatedTokens = generated;
    counters.generatedTokens.add(generated);
    long sampledNanos = System.nanoTime();
    for (int entry = 0; entry < entries; entry++) {
      if (event.sampled[entry]) {
        deliver(batch[entry], entry, sampledNanos, now);
      }
      batch[entry] = null;
    }
    wakeReaders();
    report(nanos);
    event.finished = 0;
  }

  private void evict(double now) {
    event.evictions = plan.evictionCount();
    event.swapEvictions = 0;
    event.recomputedTokens = 0;
    for (int i = 0; i < plan.evictionCount(); i++) {
      ActiveRequest request = activeOf(plan.evicted(i));
      request.evicted(System.nanoTime());
      if (request.request.state() != RequestState.SWAPPED) {
        event.recomputedTokens += request.sequence.length();
        freeSequence(request);
        continue;
      }
      event.swapEvictions++;
      try {
        swapOut(request);
        resident--;
        swapped++;
      } catch (OutOfSwapException | DeviceMemoryException e) {
        fail(request, e, now);
      }
    }
    counters.evictions.add(event.evictions);
    counters.swapEvictions.add(event.swapEvictions);
    counters.recomputedTokens.add(event.recomputedTokens);
  }

  private void resume(double now) {
    for (int i = 0; i < plan.resumedCount(); i++) {
      ActiveRequest request = activeOf(plan.resumed(i));
      try {
        swapIn(request);
        swapped--;
        resident++;
      } catch (OutOfBlocksException | DeviceMemoryException e) {
        fail(request, e, now);
      }
    }
  }

  private void swapOut(ActiveRequest request) {
    watchdog.enter();
    try {
      request.sequence.swapOut();
    } finally {
      watchdog.leave();
    }
  }

  private void swapIn(ActiveRequest request) {
    watchdog.enter();
    try {
      request.sequence.swapIn();
    } finally {
      watchdog.leave();
    }
  }

  private void add(ActiveRequest active, long nanos, int entry) {
    Request request = active.request;
    if (!active.started) {
      active.started = true;
      active.startedNanos = nanos;
      int[] tokens = new int[request.promptTokens() + request.maxOutputTokens()];
      System.arraycopy(active.tokens, 0, tokens, 0, request.promptTokens());
      active.tokens = tokens;
      mailbox.started();
    }
    if (active.sequence == null) {
      active.sequence = cache.createSequence();
      resident++;
    }
    int count = request.scheduledTokens();
    if (count == 1) {
      step.add(active.sequence, active.tokens[request.cachedTokens()]);
    } else {
      step.add(active.sequence, active.tokens, request.cachedTokens(), count);
    }
    event.requests[entry] = request.id();
    event.tokens[entry] = count;
    event.cached[entry] = request.cachedTokens();
    event.decoding[entry] = request.isDecoding();
    event.sampled[entry] = count == request.pendingTokens();
    if (event.sampled[entry]) {
      step.sample(entry, active.sampling);
    }
    batch[entry] = active;
  }

  private void runStep() {
    long start = System.nanoTime();
    event.stepTime = seconds(start);
    counters.stepStartNanoTime = start;
    counters.stepRunning = true;
    watchdog.enter();
    try {
      stepRunner.accept(step);
    } finally {
      counters.lastStepNanoTime.set(System.nanoTime());
      counters.stepRunning = false;
      watchdog.leave();
    }
    event.stepSeconds = step.nanoseconds() * 1e-9;
  }

  /**
   * The batch ran out of memory: its requests fail and give back their blocks, all others go on. Or
   * the numbers of one request ran out of range: that one fails, and the others of its batch are as
   * they were before.
   */
  private void failIteration(WeirException cause, double now) {
    event.failed = true;
    counters.failedIterations.increment();
    plan.abandon();
    if (cause instanceof InvalidModelException) {
      fail(batch[Math.toIntExact(cause.needed())], cause, now);
      return;
    }
    for (int i = 0; i < plan.size(); i++) {
      ActiveRequest request = activeOf(plan.request(i));
      if (request != null) {
        fail(request, cause, now);
      }
    }
  }

  private void deliver(ActiveRequest active, int entry, long nanos, double now) {
    Request request = active.request;
    int token = step.sampledToken(entry);
    int generated = request.generatedTokens();
    active.tokens[request.promptTokens() + generated - 1] = token;
    if (generated == 1) {
      active.firstTokenNanos = nanos;
      counters.promptTokens.add(request.promptTokens());
    }

    boolean atEnd = !active.ignoreEos && endsSequence(token);
    boolean atLimit = generated == request.maxOutputTokens();
    String text = active.text.append(token);
    if ((atEnd || atLimit) && !active.text.stopped()) {
      String rest = active.text.finish();
      text = rest.isEmpty() ? text : text + rest;
    }
    active.generation.deliver(
        token, text, step.sampledLogProbability(entry), top(active, entry), nanos);
    delivered[deliveries++] = active.generation;
    if (atEnd || active.text.stopped()) {
      finish(active, FinishReason.STOP, now);
    } else if (atLimit) {
      finish(active, FinishReason.LENGTH, now);
    }
  }

  private void wakeReaders() {
    VarHandle.fullFence();
    int waiting = 0;
    for (int i = 0; i < deliveries; i++) {
      if (delivered[i].hasToWake()) {
        delivered[waiting++] = delivered[i];
      }
    }
    if (waiting > 0) {
      waker.wake(delivered, waiting);
    }
    Arrays.fill(delivered, 0, deliveries, null);
    deliveries = 0;
  }

  private boolean endsSequence(int token) {
    for (int end : endTokens) {
      if (token == end) {
        return true;
      }
    }
    return false;
  }

  private TokenLogProbability[] top(ActiveRequest active, int entry) {
    int count = active.sampling.topLogProbabilities();
    if (count == 0) {
      return NO_TOP;
    }
    TokenLogProbability[] top = new TokenLogProbability[count];
    for (int rank = 0; rank < count; rank++) {
      top[rank] =
          new TokenLogProbability(step.topToken(entry, rank), step.topLogProbability(entry, rank));
    }
    return top;
  }

  private void publishCounts() {
    counters.running = resident;
    counters.swapped = swapped;
    counters.waiting = active.size() - resident - swapped;
  }

  private void report(long startNanos) {
    if (listeners.isEmpty()) {
      return;
    }
    event.running = resident;
    event.swapped = swapped;
    event.waiting = active.size() - resident - swapped;
    event.freeBlocks = cache.freeBlocks();
    event.seconds = (System.nanoTime() - startNanos) * 1e-9;
    listeners.tell(iterationNotice);
    reportEnds();
  }

  private static RequestArrival arrival(Request request) {
    return new RequestArrival(
        request.id(), request.arrivalTime(), request.promptTokens(), request.maxOutputTokens());
  }

  private void report(RequestArrival arrival) {
    listeners.tell(listener -> listener.arrived(arrival));
  }

  private void noteEnd(ActiveRequest request, Optional<FinishReason> reason) {
    if (!listeners.isEmpty()) {
      ends.add(
          new RequestEnd(
              request.request.id(),
              seconds(System.nanoTime()),
              request.request.generatedTokens(),
              reason));
    }
  }

  private void reportEnds() {
    if (!ends.isEmpty()) {
      for (RequestEnd end : ends) {
        listeners.tell(listener -> listener.ended(end));
      }
      ends.clear();
    }
  }

  // ---- the end

  private void failAll(Throwable failure) {
    GenerationFailedException exception =
        new GenerationFailedException("the engine has failed: " + failure, failure);
    if (ending != null) {
      fail(ending, exception);
    }
    mailbox.collect(submitted, cancelled);
    for (ActiveRequest request : submitted) {
      active.put(request.request, request);
    }
    active.values().forEach(request -> fail(request, exception));
    active.clear();
    byGeneration.clear();
    deadlines.clear();
    resident = 0;
    swapped = 0;
    publishCounts();
    reportEnds();
  }

  private void fail(ActiveRequest request, GenerationFailedException exception) {
    counters.failed.increment();
    try {
      noteEnd(request, Optional.empty());
      request.generation.fail(exception);
    } catch (Throwable _) { // no thread or no memory for this one; the others must still end
    }
  }

  private void release() {
    try {
      lastStatistics = cache.statistics();
      releaseResources.run();
    } catch (WeirException e) {
      LOGGER.log(System.Logger.Level.WARNING, "the device could not be released", e);
    }
  }
}
