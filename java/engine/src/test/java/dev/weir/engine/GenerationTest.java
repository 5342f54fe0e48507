package dev.weir.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.weir.engine.TestModel.GoldenCase;
import dev.weir.engine.tokenizer.StreamingDecoder;
import dev.weir.runtime.Sampling;
import dev.weir.scheduling.Request;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.OptionalLong;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Flow;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** One generation: its stop conditions, and the three ways to read it. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class GenerationTest {
  private static final GoldenCase ONCE = TestModel.goldenCases().get(1);
  private static Engine engine;

  @BeforeAll
  static void start() {
    engine = Engine.start(TestModel.inFp32().scheduler("fcfs").build());
  }

  @AfterAll
  static void close() {
    engine.close();
  }

  private static GenerationRequest.Builder once() {
    return GenerationRequest.builder("Once upon a time").maxTokens(64);
  }

  @Test
  void iteratorsGiveEveryTokenToEveryReader() {
    Generation generation = engine.submit(once().build());
    for (int reader = 0; reader < 2; reader++) {
      List<Integer> ids = new ArrayList<>();
      for (GeneratedToken token : generation) {
        ids.add(token.id());
      }
      assertThat(ids.stream().mapToInt(Integer::intValue).toArray()).isEqualTo(ONCE.greedy_ids());
    }
    Iterator<GeneratedToken> iterator = generation.iterator();
    iterator.forEachRemaining(_ -> {});
    assertThatThrownBy(iterator::next).isInstanceOf(NoSuchElementException.class);
  }

  @Test
  void interruptedReaderGivesUpAndTheGenerationGoesOn() {
    EngineGate gate = new EngineGate();
    engine.addListener(gate);
    Generation generation = engine.submit(once().build());
    gate.awaitReached();
    Iterator<GeneratedToken> iterator = generation.iterator();
    iterator.next();
    Thread.currentThread().interrupt();
    assertThatThrownBy(iterator::hasNext).isInstanceOf(CancellationException.class);
    assertThat(Thread.interrupted()).isTrue();
    engine.removeListener(gate);
    gate.open();
    assertThat(generation.await().ids()).isEqualTo(ONCE.greedy_ids());
  }

  @Test
  void stopStringsAcrossTokenBorders() {
    String story = ONCE.greedy_text();
    for (String stop : List.of(" girl named", "e gi", "y. S", story.substring(0, 3), "Lily")) {
      GenerationResult result = engine.submit(once().stop(List.of("never", stop)).build()).await();
      assertThat(result.finishReason()).isEqualTo(FinishReason.STOP);
      assertThat(result.text()).isEqualTo(story.substring(0, story.indexOf(stop)));
      assertThat(result.ids()).isEqualTo(Arrays.copyOf(ONCE.greedy_ids(), result.ids().length));
      assertThat(result.ids().length).isLessThan(64);
    }
  }

  @Test
  void beginningOfAStopStringIsHeldBackAndReleased() {
    String story = ONCE.greedy_text();
    // Begins at every "She" and never ends; the very end of the text is held back until the last
    // token.
    List<String> stops = List.of("She jumped", story.substring(story.length() - 4) + "!");
    GenerationResult result = engine.submit(once().stop(stops).build()).await();
    assertThat(result.finishReason()).isEqualTo(FinishReason.LENGTH);
    assertThat(result.text()).isEqualTo(story);
  }

  @Test
  void endOfSequenceStopsUnlessIgnored() {
    // The model was trained on stories that follow each other: after a long one it begins the next.
    GenerationRequest.Builder sampled = once().temperature(1).seed(3).maxTokens(500);
    int[] all = engine.submit(sampled.ignoreEos(true).build()).await().ids();
    assertThat(all).hasSize(500);
    int end = 0;
    while (all[end] != 1 && all[end] != 2) {
      end++;
    }
    GenerationResult stopped = engine.submit(sampled.ignoreEos(false).build()).await();
    assertThat(stopped.finishReason()).isEqualTo(FinishReason.STOP);
    assertThat(stopped.ids()).isEqualTo(Arrays.copyOf(all, end + 1));
    assertThat(stopped.tokens().getLast().text()).isEmpty();
  }

  @Test
  void textHeldBackForAStopStringBelongsToACancelledResult() {
    String story = ONCE.greedy_text();
    EngineGate gate = new EngineGate();
    engine.addListener(gate);
    Generation generation =
        engine.submit(once().stop(List.of(story.substring(0, story.length() - 1) + "#")).build());
    gate.awaitReached();
    generation.cancel();
    engine.removeListener(gate);
    gate.open();
    GenerationResult result = generation.await();
    assertThat(result.finishReason()).isEqualTo(FinishReason.CANCELLED);
    assertThat(result.tokens()).isNotEmpty().allMatch(token -> token.text().isEmpty());
    StreamingDecoder decoder = engine.tokenizer().decoder(result.promptIds());
    StringBuilder text = new StringBuilder();
    for (int id : result.ids()) {
      text.append(decoder.append(id));
    }
    assertThat(result.text()).isNotEmpty().isEqualTo(text.append(decoder.finish()).toString());
  }

  @Test
  void resultsCannotBeChanged() {
    GenerationResult result = engine.submit(once().build()).await();
    result.ids()[0] = -5;
    result.promptIds()[0] = -5;
    assertThat(result.ids()).isEqualTo(ONCE.greedy_ids());
    assertThat(result.promptIds()).isEqualTo(ONCE.prompt_ids());
  }

  @Test
  void timingsByHand() {
    ActiveRequest request =
        new ActiveRequest(
            null,
            new Request(0, 0, 1, 10, Request.UNKNOWN),
            new int[] {1},
            Sampling.greedy(),
            false,
            new TextStream(StreamingDecoder.silent(), List.of()),
            1_000,
            ActiveRequest.NO_DEADLINE);
    assertThat(GenerationTimings.of(request, 0, 1_900)).isEqualTo(timings(900, 900, 900, 0));
    request.started = true;
    request.startedNanos = 1_100;
    request.firstTokenNanos = 1_500;
    assertThat(GenerationTimings.of(request, 1, 1_600)).isEqualTo(timings(100, 500, 600, 0));
    // The third and last token may have come at any time: what counts is the end.
    assertThat(GenerationTimings.of(request, 3, 2_600)).isEqualTo(timings(100, 500, 1_600, 550));
  }

  private static GenerationTimings timings(long queue, long first, long end, long perToken) {
    return new GenerationTimings(
        Duration.ofNanos(queue),
        Duration.ofNanos(first),
        Duration.ofNanos(end),
        Duration.ofNanos(perToken),
        1_000);
  }

  @Test
  void timingsAreInOrder() {
    GenerationResult result = engine.submit(once().build()).await();
    GenerationTimings timings = result.timings();
    assertThat(timings.queueTime()).isBetween(Duration.ZERO, timings.timeToFirstToken());
    assertThat(timings.timeToFirstToken()).isPositive().isLessThanOrEqualTo(timings.endToEnd());
    assertThat(timings.timePerOutputToken())
        .isPositive()
        .isEqualTo(timings.endToEnd().minus(timings.timeToFirstToken()).dividedBy(63));
    long last = timings.submittedNanoTime();
    for (GeneratedToken token : result.tokens()) {
      assertThat(token.nanoTime() - last).isNotNegative();
      last = token.nanoTime();
    }
    assertThat(Duration.ofNanos(last - timings.submittedNanoTime()))
        .isLessThanOrEqualTo(timings.endToEnd());
  }

  // ---- cancellation and deadlines

  @Test
  void cancelledRequestsLeaveWithTheNextIteration() {
    CompletableFuture<Integer> runningAfterCancel = new CompletableFuture<>();
    AtomicReference<Generation> victim = new AtomicReference<>();
    EngineListener listener =
        new EngineListener() {
          private long cancelledAt = Long.MAX_VALUE;

          @Override
          public void iteration(IterationEvent event) {
            if (cancelledAt == Long.MAX_VALUE && event.running() == 2) {
              victim.get().cancel();
              cancelledAt = event.iteration();
            } else if (event.iteration() == cancelledAt + 1) {
              runningAfterCancel.complete(event.running());
            }
          }
        };
    EngineGate gate = new EngineGate();
    engine.addListener(gate);
    victim.set(engine.submit(once().maxTokens(500).ignoreEos(true).build()));
    gate.awaitReached();
    Generation other = engine.submit(once().maxTokens(500).ignoreEos(true).build());
    engine.addListener(listener);
    engine.removeListener(gate);
    gate.open();
    assertThat(runningAfterCancel.join()).isEqualTo(1);
    engine.removeListener(listener);
    other.cancel();
    GenerationResult result = victim.get().await();
    assertThat(result.finishReason()).isEqualTo(FinishReason.CANCELLED);
    assertThat(result.ids().length).isLessThan(500);
    assertThat(other.await().finishReason()).isEqualTo(FinishReason.CANCELLED);
    assertThat(engine.statistics().kv().used()).isZero();
    other.cancel();
    assertThat(other.await().finishReason()).isEqualTo(FinishReason.CANCELLED);
  }

  @Test
  void deadlineBeforeTheFirstTokenAndInBetween() {
    GenerationResult early = engine.submit(once().deadline(Duration.ofNanos(1)).build()).await();
    assertThat(early.finishReason()).isEqualTo(FinishReason.DEADLINE);
    assertThat(early.ids()).isEmpty();
    assertThat(early.timings().timeToFirstToken()).isEqualTo(early.timings().endToEnd());

    // A machine may be so slow that a deadline passes before the first token.
    GenerationResult late = early;
    Duration deadline = Duration.ofMillis(50);
    while (late.ids().length == 0) {
      deadline = deadline.multipliedBy(2);
      late = passDeadlineAfterTheFirstToken(deadline);
      assertThat(late.finishReason()).isEqualTo(FinishReason.DEADLINE);
      assertThat(late.timings().endToEnd()).isGreaterThan(deadline);
    }
    assertThat(late.ids()).isEqualTo(Arrays.copyOf(ONCE.greedy_ids(), late.ids().length));
  }

  private static GenerationResult passDeadlineAfterTheFirstToken(Duration deadline) {
    EngineListener slow =
        event -> {
          long end = System.nanoTime() + deadline.toNanos();
          while (event.running() > 0 && System.nanoTime() - end < 0) {
            LockSupport.parkNanos(end - System.nanoTime());
          }
        };
    engine.addListener(slow);
    GenerationResult result = engine.submit(once().deadline(deadline).build()).await();
    engine.removeListener(slow);
    return result;
  }

  // ---- publisher and future

  /** Collects what it gets; demands only what the test asks for. */
  private static class Collector implements Flow.Subscriber<GeneratedToken> {
    final CompletableFuture<Flow.Subscription> subscription = new CompletableFuture<>();
    final List<GeneratedToken> tokens = new ArrayList<>();
    final CompletableFuture<List<GeneratedToken>> whole = new CompletableFuture<>();
    final CountDownLatch firstTwo = new CountDownLatch(2);

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
      this.subscription.complete(subscription);
    }

    @Override
    public void onNext(GeneratedToken token) {
      synchronized (tokens) {
        tokens.add(token);
      }
      firstTwo.countDown();
    }

    @Override
    public void onError(Throwable throwable) {
      whole.completeExceptionally(throwable);
    }

    @Override
    public void onComplete() {
      whole.complete(tokens);
    }

    int received() {
      synchronized (tokens) {
        return tokens.size();
      }
    }
  }

  @Test
  void publisherHonoursDemand() {
    Generation generation = engine.submit(once().build());
    Collector slow = new Collector();
    generation.publisher().subscribe(slow);
    slow.subscription.join().request(2);
    EngineGate.await(slow.firstTwo);
    generation.await();
    assertThat(slow.received()).isEqualTo(2);
    assertThat(slow.whole).isNotDone();

    Collector late = new Collector();
    generation.publisher().subscribe(late);
    late.subscription.join().request(Long.MAX_VALUE);
    late.subscription.join().request(Long.MAX_VALUE);
    assertThat(late.whole.join()).isEqualTo(generation.await().tokens());

    slow.subscription.join().request(62);
    assertThat(slow.whole.join()).isEqualTo(generation.await().tokens());
  }

  @Test
  void invalidDemandIsAnErrorAndCancelledSubscriptionsGetNothing() {
    Generation generation = engine.submit(once().build());
    Collector invalid = new Collector();
    generation.publisher().subscribe(invalid);
    invalid.subscription.join().request(0);
    assertThatThrownBy(invalid.whole::join).hasCauseInstanceOf(IllegalArgumentException.class);

    Collector cancelled = new Collector();
    generation.publisher().subscribe(cancelled);
    cancelled.subscription.join().cancel();
    cancelled.subscription.join().request(10);
    assertThat(generation.await().finishReason()).isEqualTo(FinishReason.LENGTH);
    assertThat(cancelled.received()).isZero();
    assertThat(cancelled.whole).isNotDone();
  }

  @Test
  void slowReadersDelayNobody() {
    CountDownLatch release = new CountDownLatch(1);
    CountDownLatch entered = new CountDownLatch(2);
    // The generation must not end before the dependent is there: it would run on this thread then.
    EngineGate gate = new EngineGate();
    engine.addListener(gate);
    Generation generation = engine.submit(once().build());
    gate.awaitReached();
    Collector blocking =
        new Collector() {
          @Override
          public void onNext(GeneratedToken token) {
            entered.countDown();
            EngineGate.await(release);
            super.onNext(token);
          }
        };
    generation.publisher().subscribe(blocking);
    blocking.subscription.join().request(Long.MAX_VALUE);
    CompletableFuture<String> dependent =
        generation
            .completion()
            .thenApply(
                _ -> {
                  entered.countDown();
                  EngineGate.await(release);
                  return Thread.currentThread().getName();
                });
    engine.removeListener(gate);
    gate.open();
    EngineGate.await(entered);
    assertThat(generation.await().ids()).hasSize(64);
    assertThat(engine.submit(once().build()).await().ids()).isEqualTo(ONCE.greedy_ids());
    release.countDown();
    assertThat(dependent.join()).isNotEqualTo("weir-engine");
    assertThat(blocking.whole.join()).hasSize(64);
  }

  @Test
  void completingTheFutureFromOutsideChangesNothing() {
    Generation generation = engine.submit(once().build());
    generation.completion().cancel(true);
    assertThat(generation.completion().join().ids()).isEqualTo(ONCE.greedy_ids());
  }

  @Test
  void eventsTellWhoIsHeldAndWhoEnded() {
    EngineOptions single = TestModel.inFp32().scheduler("fcfs").maxSequences(1).build();
    List<String> held = new CopyOnWriteArrayList<>();
    AtomicInteger finished = new AtomicInteger();
    Generation second;
    try (Engine engine = Engine.start(single)) {
      EngineGate gate = new EngineGate();
      engine.addListener(gate);
      engine.addListener(
          event -> {
            for (int i = 0; i < event.heldCount(); i++) {
              held.add(event.heldRequest(i) + " " + event.heldReason(i));
            }
            finished.addAndGet(event.finished());
          });
      // Ends without an iteration, and is told with the next one.
      engine.submit(once().deadline(Duration.ofNanos(1)).build()).await();
      Generation first = engine.submit(once().build());
      gate.awaitReached();
      second = engine.submit(once().build());
      gate.open();
      first.await();
      second.await();
    }
    assertThat(held).hasSizeBetween(60, 63).containsOnly(second.id() + " SEQUENCE_LIMIT");
    assertThat(finished).hasValue(3);
  }

  @Test
  void eventsTellTheOverflowProbabilityOfEachAdmission() {
    EngineOptions options = TestModel.inFp32().scheduler("weir").build();
    List<Long> admitted = new CopyOnWriteArrayList<>();
    List<Double> probabilities = new CopyOnWriteArrayList<>();
    List<Long> submitted = new ArrayList<>();
    try (Engine engine = Engine.start(options)) {
      engine.addListener(
          event -> {
            for (int i = 0; i < event.predictionCount(); i++) {
              admitted.add(event.predictedRequest(i));
              probabilities.add(event.overflowProbability(i));
            }
          });
      for (int i = 0; i < 3; i++) {
        Generation generation = engine.submit(once().build());
        submitted.add(generation.id());
        generation.await();
      }
    }
    assertThat(admitted).isEqualTo(submitted);
    assertThat(probabilities).allMatch(p -> p >= 0 && p < 1e-6, "a pool that is nearly empty");
  }

  @Test
  void statisticsTellWhenTheStepThatRunsBegan() {
    long before = System.nanoTime();
    Generation generation = engine.submit(once().maxTokens(500).ignoreEos(true).build());
    OptionalLong start = OptionalLong.empty();
    while (start.isEmpty()) {
      start = engine.statistics().stepStartNanoTime();
      assertThat(generation.completion()).as("a step was seen").isNotDone();
    }
    assertThat(start.getAsLong() - before).isPositive();
    generation.cancel();
    generation.await();
    assertThat(engine.statistics().stepStartNanoTime()).isEmpty();
  }

  /** Readers that begin to wait while tokens come miss none, and none waits for ever. */
  @Test
  void manyReadersOfManyGenerations() throws Exception {
    int generations = 24;
    try (ExecutorService virtual = Executors.newVirtualThreadPerTaskExecutor();
        ExecutorService platform = Executors.newCachedThreadPool()) {
      List<Future<List<Integer>>> read = new ArrayList<>();
      List<Generation> submitted = new ArrayList<>();
      for (int i = 0; i < generations; i++) {
        Generation generation = engine.submit(once().build());
        submitted.add(generation);
        for (ExecutorService threads : List.of(virtual, virtual, platform)) {
          read.add(
              threads.submit(
                  () -> {
                    List<Integer> ids = new ArrayList<>();
                    generation.forEach(token -> ids.add(token.id()));
                    return ids;
                  }));
        }
      }
      List<Integer> expected = IntStream.of(ONCE.greedy_ids()).boxed().toList();
      for (Future<List<Integer>> ids : read) {
        assertThat(ids.get()).isEqualTo(expected);
      }
      for (Generation generation : submitted) {
        assertThat(generation.await().ids()).isEqualTo(ONCE.greedy_ids());
      }
    }
  }

  @Test
  void throwingListenerIsRemoved() {
    CountDownLatch called = new CountDownLatch(2);
    engine.addListener(
        event -> {
          called.countDown();
          throw new IllegalStateException("a listener's own fault");
        });
    engine.addListener(
        event -> {
          called.countDown();
          throw new LinkageError("a listener's own fault");
        });
    assertThat(engine.submit(once().build()).await().ids()).isEqualTo(ONCE.greedy_ids());
    EngineGate.await(called);
    assertThat(engine.state()).isEqualTo(EngineState.RUNNING);
  }
}
