package dev.weir.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.weir.engine.tokenizer.TokenizerException;
import dev.weir.runtime.DeviceMemoryException;
import dev.weir.runtime.ModelIoException;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.Scheduler;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** How an engine starts, closes and dies. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class EngineLifecycleTest {
  private static EngineOptions.Builder options() {
    return EngineOptions.builder(TestModel.STORIES).scheduler("fcfs").kvBlocks(64);
  }

  private static GenerationRequest request(int maxTokens) {
    return GenerationRequest.builder("Once upon a time")
        .maxTokens(maxTokens)
        .ignoreEos(true)
        .build();
  }

  @Test
  void drainCompletesWhatWasAcceptedAndRefusesTheRest() {
    Engine engine = Engine.start(options().build());
    EngineGate gate = new EngineGate();
    engine.addListener(gate);
    List<Generation> accepted =
        IntStream.range(0, 5).mapToObj(_ -> engine.submit(request(50))).toList();
    gate.awaitReached();
    CompletableFuture<Void> closed =
        CompletableFuture.runAsync(
            () -> engine.close(CloseMode.DRAIN, Duration.ofDays(1_000_000)),
            task -> Thread.ofPlatform().start(task));
    while (engine.state() == EngineState.RUNNING) {
      Thread.onSpinWait();
    }
    assertThatThrownBy(() -> engine.submit(request(1)))
        .isInstanceOfSatisfying(
            RejectedRequestException.class,
            e -> assertThat(e.reason()).isEqualTo(RejectionReason.CLOSED));
    assertThat(closed).isNotDone();
    gate.open();
    closed.join();
    assertThat(engine.state()).isEqualTo(EngineState.CLOSED);
    for (Generation generation : accepted) {
      assertThat(generation.await().ids()).hasSize(50);
      assertThat(generation.await().finishReason()).isEqualTo(FinishReason.LENGTH);
    }
    assertThat(engine.statistics().kv().used()).isZero();
  }

  @Test
  void drainCancelsAtItsDeadline() {
    Engine engine = Engine.start(options().build());
    EngineGate gate = new EngineGate();
    engine.addListener(gate);
    Generation generation = engine.submit(request(500));
    gate.awaitReached();
    gate.open();
    engine.close(CloseMode.DRAIN, Duration.ofNanos(1));
    assertThat(generation.await().finishReason()).isEqualTo(FinishReason.CANCELLED);
    assertThat(generation.await().ids()).isNotEmpty();
  }

  @Test
  void closeCancelsRunningAndWaitingRequests() {
    Engine engine = Engine.start(options().maxSequences(2).build());
    EngineGate gate = new EngineGate();
    engine.addListener(gate);
    List<Generation> accepted =
        IntStream.range(0, 10).mapToObj(_ -> engine.submit(request(400))).toList();
    gate.awaitReached();
    gate.open();
    engine.close();
    engine.close();
    engine.close(CloseMode.DRAIN, Duration.ofHours(1));
    for (Generation generation : accepted) {
      assertThat(generation.await().finishReason()).isEqualTo(FinishReason.CANCELLED);
    }
    EngineStatistics statistics = engine.statistics();
    assertThat(statistics.state()).isEqualTo(EngineState.CLOSED);
    assertThat(statistics.finished().get(FinishReason.CANCELLED)).isEqualTo(10);
    assertThat(statistics.kv().used()).isZero();
    assertThat(statistics.running() + statistics.waiting() + statistics.swapped()).isZero();
    accepted.get(0).cancel();
  }

  @Test
  void closeFromAListenerDoesNotWaitForItself() {
    Engine engine = Engine.start(options().build());
    engine.addListener(_ -> engine.close());
    assertThat(engine.submit(request(400)).await().finishReason())
        .isEqualTo(FinishReason.CANCELLED);
    engine.close();
    assertThat(engine.state()).isEqualTo(EngineState.CLOSED);
  }

  @Test
  void manyThreadsSubmitCancelAndCloseAtOnce() throws InterruptedException {
    Engine engine = Engine.start(options().kvBlocks(40).queueCapacity(20).build());
    List<Generation> accepted = new CopyOnWriteArrayList<>();
    List<Thread> threads = new ArrayList<>();
    for (int t = 0; t < 8; t++) {
      threads.add(
          Thread.ofVirtual()
              .start(
                  () -> {
                    for (int i = 0; ; i++) {
                      try {
                        Generation generation = engine.submit(request(1 + i % 40));
                        accepted.add(generation);
                        if (i % 3 == 0) {
                          generation.cancel();
                        } else if (i % 5 == 0) {
                          generation.await();
                        }
                      } catch (RejectedRequestException e) {
                        if (e.reason() == RejectionReason.CLOSED) {
                          return;
                        }
                        Thread.yield();
                      }
                    }
                  }));
    }
    while (engine.statistics().generatedTokens() < 3000) {
      Thread.onSpinWait();
    }
    for (int t = 0; t < 3; t++) {
      threads.add(Thread.ofPlatform().start(engine::close));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    for (Generation generation : accepted) {
      assertThat(generation.completion()).succeedsWithin(Duration.ofSeconds(1));
    }
    EngineStatistics statistics = engine.statistics();
    assertThat(statistics.accepted()).isEqualTo(accepted.size());
    assertThat(statistics.finished().values().stream().mapToLong(Long::longValue).sum())
        .isEqualTo(accepted.size());
    assertThat(statistics.kv().free()).isEqualTo(statistics.kv().capacity());
  }

  @Test
  void errorOnTheEngineThreadEndsEverythingWithinASecond() {
    Engine engine =
        Engine.start(
            options()
                .scheduler("failing")
                .schedulerOptions(Map.of("plan", "5"))
                .maxSequences(3)
                .build());
    EngineGate gate = new EngineGate();
    engine.addListener(gate);
    List<Generation> accepted =
        IntStream.range(0, 8).mapToObj(_ -> engine.submit(request(100))).toList();
    gate.awaitReached();
    gate.open();
    for (Generation generation : accepted) {
      assertThat(generation.completion())
          .failsWithin(1, TimeUnit.SECONDS)
          .withThrowableThat()
          .havingCause()
          .isInstanceOf(GenerationFailedException.class)
          .havingCause()
          .withMessage("injected failure");
      assertThatThrownBy(generation::await).isInstanceOf(GenerationFailedException.class);
    }
    List<Integer> read = new ArrayList<>();
    assertThatThrownBy(() -> accepted.get(0).forEach(token -> read.add(token.id())))
        .isInstanceOf(GenerationFailedException.class);
    assertThat(read).hasSize(4);
    assertThat(engine.state()).isEqualTo(EngineState.FAILED);
    assertThatThrownBy(() -> engine.submit(request(1)))
        .isInstanceOfSatisfying(
            RejectedRequestException.class,
            e -> assertThat(e.reason()).isEqualTo(RejectionReason.ENGINE_FAILED))
        .hasRootCauseMessage("injected failure");
    assertThat(engine.statistics().failed()).isEqualTo(8);
    engine.close();
    assertThat(engine.state()).isEqualTo(EngineState.FAILED);
  }

  @ParameterizedTest
  @CsvSource({"arrived, 1", "arrived, 3", "plan, 1", "plan, 7", "departed, 1", "departed, 3"})
  void everyGenerationEndsWhereverTheSchedulerFails(String method, int call) {
    Engine engine =
        Engine.start(
            options()
                .scheduler("failing")
                .schedulerOptions(Map.of(method, Integer.toString(call)))
                .maxSequences(3)
                .build());
    List<Generation> accepted = new ArrayList<>();
    try {
      for (int i = 0; i < 6; i++) {
        accepted.add(engine.submit(request(5 + i)));
      }
    } catch (RejectedRequestException e) {
      assertThat(e.reason()).isEqualTo(RejectionReason.ENGINE_FAILED);
    }
    int failed = 0;
    for (Generation generation : accepted) {
      try {
        generation.completion().orTimeout(5, TimeUnit.SECONDS).join();
      } catch (CompletionException e) {
        assertThat(e).hasCauseInstanceOf(GenerationFailedException.class);
        failed++;
      }
    }
    assertThat(failed).isPositive();
    assertThat(engine.state()).isEqualTo(EngineState.FAILED);
    engine.close();
    EngineStatistics statistics = engine.statistics();
    assertThat(statistics.failed()).isEqualTo(failed);
    assertThat(statistics.finished().get(FinishReason.LENGTH)).isEqualTo(accepted.size() - failed);
    assertThat(statistics.running() + statistics.waiting() + statistics.swapped()).isZero();
  }

  /** Whatever comes while the engine's thread decides whether it is at the end, is served. */
  @Test
  void requestAcceptedJustBeforeTheEndIsServed() throws InterruptedException {
    Mailbox mailbox = new Mailbox(10);
    CompletableFuture<Generation> late = new CompletableFuture<>();
    Scheduler fcfs = LoopFixture.fcfs();
    // Called between the collection of the mail and the decision about the end, which the first
    // request, the only one, has brought about by its cancellation.
    Scheduler scheduler =
        new Scheduler() {
          @Override
          public void arrived(Request request, double now) {
            fcfs.arrived(request, now);
          }

          @Override
          public void plan(IterationPlan plan) {
            fcfs.plan(plan);
          }

          @Override
          public void departed(Request request, double now) {
            fcfs.departed(request, now);
            if (!late.isDone()) {
              late.complete(LoopFixture.submit(mailbox, 1));
              mailbox.close(System.nanoTime() + Duration.ofHours(1).toNanos());
            }
          }
        };
    try (LoopFixture fixture = new LoopFixture()) {
      LoopFixture.submit(mailbox, 0).cancel();
      Thread thread = Thread.ofPlatform().start(fixture.loop(mailbox, scheduler));
      assertThat(late.join().completion()).succeedsWithin(Duration.ofSeconds(5));
      assertThat(late.join().await().ids()).hasSize(10);
      thread.join();
      assertThat(mailbox.state()).isEqualTo(EngineState.CLOSED);
    }
  }

  @Test
  void startFailsCleanly(@TempDir Path folder) throws Exception {
    assertThatThrownBy(() -> Engine.start(EngineOptions.builder(folder).build()))
        .isInstanceOf(ModelIoException.class);
    assertThatThrownBy(() -> Engine.start(options().scheduler("no-such").build()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("fcfs");
    assertThatThrownBy(() -> Engine.start(options().kvBytes(Long.MAX_VALUE / 2).build()))
        .isInstanceOf(DeviceMemoryException.class);
    assertThatThrownBy(() -> Engine.start(options().kvBytes(1).build()))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> Engine.start(options().maxTopLogProbabilities(65).build()))
        .isInstanceOf(IllegalArgumentException.class);
    Files.write(folder.resolve("tokenizer.model"), new byte[] {1, 2, 3});
    assertThatThrownBy(() -> Engine.start(EngineOptions.builder(folder).build()))
        .isInstanceOf(TokenizerException.class);
    for (Runnable wrong :
        List.<Runnable>of(
            () -> options().kvBlocks(0).build(),
            () -> options().kvBytes(-1).build(),
            () -> options().blockSize(0).build(),
            () -> options().swapBlocks(-1).build(),
            () -> options().maxSequences(0).build(),
            () -> options().maxBatchTokens(0).build(),
            () -> options().queueCapacity(0).build(),
            () -> options().threads(-1).build(),
            () -> options().layerLimit(-1).build(),
            () -> options().reserveMemory(-1).build(),
            () -> options().stepTimeout(Duration.ofNanos(-1)).build(),
            () -> options().stepTimeout(Duration.ofDays(366)).build())) {
      assertThatThrownBy(wrong::run).isInstanceOf(IllegalArgumentException.class);
    }
    assertThatThrownBy(() -> options().preemption(Preemption.SWAP).swapBlocks(0).build())
        .hasMessageContaining("preemption is SWAP and swapBlocks is 0");
  }
}
