package dev.weir.cli.bench;

import dev.weir.engine.CloseMode;
import dev.weir.engine.Engine;
import dev.weir.engine.EngineListener;
import dev.weir.engine.EngineOptions;
import dev.weir.engine.Generation;
import dev.weir.engine.GenerationResult;
import dev.weir.engine.IterationEvent;
import dev.weir.engine.RejectedRequestException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.locks.LockSupport;

/** Serves a list of requests with an engine of its own, and records what happens. */
public final class LoadRun {
  private static final long GAUGE_INTERVAL = 50_000_000;
  private static final Duration DRAIN_DEADLINE = Duration.ofMinutes(1);

  private final List<TimedRequest> requests;
  private final RunProgress progress;

  private long origin;
  private final List<IterationSample> iterations = new ArrayList<>();
  private final Map<String, Double> gauges = new HashMap<>();
  private long gaugesRead = -GAUGE_INTERVAL;

  private LoadRun(List<TimedRequest> requests, RunProgress progress) {
    this.requests = requests;
    this.progress = progress;
  }

  /**
   * Starts an engine, submits every request at its time, waits until all have ended, and closes the
   * engine. The time that the engine needs to start is not part of the result.
   *
   * @param requests sorted by time
   * @throws dev.weir.engine.GenerationFailedException if the engine fails
   */
  public static RunResult serve(
      EngineOptions options, List<TimedRequest> requests, RunProgress progress) {
    return new LoadRun(requests, progress).serve(options);
  }

  private RunResult serve(EngineOptions options) {
    List<Object> answers = new ArrayList<>(requests.size());
    List<RequestOutcome> outcomes = new ArrayList<>(requests.size());
    long[] submitted = new long[requests.size()];
    long kvBlocks;
    try (Engine engine = Engine.start(options)) {
      kvBlocks = engine.statistics().kv().capacity();
      EngineListener listener = this::record;
      origin = System.nanoTime();
      engine.addListener(listener);
      for (int i = 0; i < requests.size(); i++) {
        TimedRequest request = requests.get(i);
        sleepUntil(origin + Math.round(request.seconds() * 1e9));
        submitted[i] = System.nanoTime() - origin;
        try {
          answers.add(engine.submit(request.request()));
        } catch (RejectedRequestException e) {
          answers.add(e);
        }
      }
      for (Object answer : answers) {
        if (answer instanceof Generation generation) {
          generation.await();
        }
      }
      // The listener has heard of the last iteration when the engine is closed.
      engine.close(CloseMode.DRAIN, DRAIN_DEADLINE);
    }
    for (int i = 0; i < requests.size(); i++) {
      outcomes.add(outcome(i, submitted[i], answers.get(i)));
    }
    return new RunResult(
        options.scheduler(),
        settings(options.schedulerOptions()),
        kvBlocks,
        options.blockSize(),
        Math.max(1, outcomes.stream().mapToLong(RequestOutcome::end).max().orElse(1)),
        submitted.length == 0 ? 0 : window(submitted),
        outcomes,
        iterations,
        gauges);
  }

  private long window(long[] submitted) {
    // Requests that come at once are still submitted one after another.
    return requests.getLast().seconds() > 0 ? submitted[submitted.length - 1] : 0;
  }

  private static String settings(Map<String, String> options) {
    return options.isEmpty() ? "" : new TreeMap<>(options).toString();
  }

  private void record(IterationEvent event) {
    long now = System.nanoTime() - origin;
    iterations.add(
        new IterationSample(
            now,
            Math.round(event.seconds() * 1e9),
            event.peakUsedBlocks(),
            event.usedBlocks(),
            event.running(),
            event.waiting() + event.swapped(),
            event.evictions()));
    if (now - gaugesRead >= GAUGE_INTERVAL) {
      gaugesRead = now;
      event.schedulerGauges(gauges::put);
    }
    progress.iteration(event.generatedTokens(), event.running(), event.waiting() + event.swapped());
  }

  private static void sleepUntil(long nanoTime) {
    for (long left; (left = nanoTime - System.nanoTime()) > 0; ) {
      LockSupport.parkNanos(left);
    }
  }

  private RequestOutcome outcome(int index, long submitted, Object answer) {
    TimedRequest request = requests.get(index);
    if (answer instanceof RejectedRequestException rejected) {
      return new RequestOutcome(
          index,
          request.promptTokens(),
          request.outputTokens(),
          submitted,
          RequestOutcome.NEVER,
          new long[0],
          submitted,
          rejected.reason().name(),
          true,
          0,
          new long[0],
          0,
          "");
    }
    GenerationResult result = ((Generation) answer).await();
    long arrival = result.timings().submittedNanoTime() - origin;
    long firstScheduled = arrival + result.timings().queueTime().toNanos();
    long[] tokenTimes =
        result.tokens().stream().mapToLong(token -> token.nanoTime() - origin).toArray();
    return new RequestOutcome(
        index,
        result.promptIds().length,
        request.outputTokens(),
        arrival,
        firstScheduled,
        tokenTimes,
        arrival + result.timings().endToEnd().toNanos(),
        result.finishReason().name(),
        false,
        result.evictions(),
        EvictionTimes.of(result.evictions(), firstScheduled, tokenTimes, iterations),
        result.recomputedTokens(),
        result.text());
  }
}
