package dev.weir.cli.bench;

import dev.weir.engine.CloseMode;
import dev.weir.engine.Engine;
import dev.weir.engine.EngineListener;
import dev.weir.engine.EngineOptions;
import dev.weir.engine.EngineState;
import dev.weir.engine.Generation;
import dev.weir.engine.GenerationFailedException;
import dev.weir.engine.GenerationResult;
import dev.weir.engine.IterationEvent;
import dev.weir.engine.RejectedRequestException;
import dev.weir.engine.RejectionReason;
import dev.weir.scheduling.HoldReason;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.LongStream;

/** Serves a list of requests with an engine of its own, and records what happens. */
public final class LoadRun {
  private sealed interface Answer {}

  /** {@code end} is in nanoseconds since the start of the run. */
  private record Accepted(Generation generation, CompletableFuture<Long> end) implements Answer {}

  private record Refused(RejectionReason reason) implements Answer {}

  private static final long GAUGE_INTERVAL = 50_000_000;
  private static final Duration DRAIN_DEADLINE = Duration.ofMinutes(1);

  private final List<TimedRequest> requests;
  private final RunProgress progress;

  private final List<Answer> answers;

  private long origin;
  private final List<IterationSample> iterations = new ArrayList<>();
  private final Map<HoldReason, Long> holds = new EnumMap<>(HoldReason.class);
  private final Map<String, Double> gauges = new HashMap<>();
  private long gaugesRead = -GAUGE_INTERVAL;

  private LoadRun(List<TimedRequest> requests, RunProgress progress) {
    this.requests = requests;
    answers = new ArrayList<>(requests.size());
    this.progress = progress;
  }

  /**
   * Submits every request at its time, waits until all have ended, and closes the engine. A request
   * whose batch failed is an outcome like any other.
   *
   * @param engine a fresh one; is closed, also if this fails
   * @param options what it was started with
   * @param requests sorted by time
   * @throws GenerationFailedException if the engine itself failed
   */
  public static RunResult serve(
      Engine engine, EngineOptions options, List<TimedRequest> requests, RunProgress progress) {
    return new LoadRun(requests, progress).serve(engine, options);
  }

  private RunResult serve(Engine engine, EngineOptions options) {
    long kvBlocks = engine.statistics().kv().capacity();
    try (engine) {
      EngineListener listener = this::record;
      origin = System.nanoTime();
      engine.addListener(listener);
      for (int i = 0; i < requests.size(); i++) {
        sleepUntil(origin + due(requests.get(i)));
        answers.add(submit(engine, i));
      }
      for (Answer answer : answers) {
        await(engine, answer);
      }
      // The listener has heard of the last iteration when the engine is closed.
      engine.close(CloseMode.DRAIN, DRAIN_DEADLINE);
    }
    List<RequestOutcome> outcomes = new ArrayList<>(requests.size());
    for (int i = 0; i < requests.size(); i++) {
      outcomes.add(outcome(i));
    }
    return new RunResult(
        options.scheduler(),
        settings(options.schedulerOptions()),
        kvBlocks,
        options.blockSize(),
        Math.max(1, outcomes.stream().mapToLong(RequestOutcome::end).max().orElse(1)),
        requests.isEmpty() ? 0 : due(requests.getLast()),
        outcomes,
        iterations,
        holds,
        gauges);
  }

  /** Nanoseconds after the start of the run. */
  private static long due(TimedRequest request) {
    return Math.round(request.seconds() * 1e9);
  }

  private Answer submit(Engine engine, int index) {
    TimedRequest request = requests.get(index);
    if (request.refusal().isPresent()) {
      return new Refused(request.refusal().get());
    }
    Generation generation;
    try {
      generation = engine.submit(request.request().orElseThrow());
    } catch (RejectedRequestException e) {
      return new Refused(e.reason());
    }
    return new Accepted(
        generation, generation.completion().handle((_, _) -> System.nanoTime() - origin));
  }

  private static void await(Engine engine, Answer answer) {
    if (answer instanceof Accepted(Generation generation, _)) {
      try {
        generation.await();
      } catch (GenerationFailedException e) {
        if (engine.state() == EngineState.FAILED) {
          throw e;
        }
      }
    }
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
    for (int i = 0; i < event.heldCount(); i++) {
      holds.merge(event.heldReason(i), 1L, Long::sum);
    }
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

  private RequestOutcome outcome(int index) {
    TimedRequest request = requests.get(index);
    return switch (answers.get(index)) {
      case Refused(RejectionReason reason) ->
          RequestOutcome.refused(index, request, due(request), reason.name());
      case Accepted(Generation generation, CompletableFuture<Long> end) -> {
        try {
          yield outcome(index, generation.await());
        } catch (GenerationFailedException _) {
          yield RequestOutcome.failed(
              index, request, generation.promptIds().length, due(request), end.join());
        }
      }
    };
  }

  private RequestOutcome outcome(int index, GenerationResult result) {
    TimedRequest request = requests.get(index);
    long submitted = result.timings().submittedNanoTime() - origin;
    long firstScheduled = submitted + result.timings().queueTime().toNanos();
    long[] tokenTimes =
        result.tokens().stream().mapToLong(token -> token.nanoTime() - origin).toArray();
    return new RequestOutcome(
        index,
        result.promptIds().length,
        request.outputTokens(),
        due(request),
        firstScheduled,
        tokenTimes,
        submitted + result.timings().endToEnd().toNanos(),
        result.finishReason().name(),
        false,
        LongStream.of(result.evictionNanoTimes()).map(time -> time - origin).toArray(),
        result.recomputedTokens(),
        result.ids(),
        result.text());
  }
}
