package dev.weir.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.weir.runtime.DeviceFailedException;
import dev.weir.runtime.DeviceMemoryException;
import dev.weir.runtime.InvalidModelException;
import dev.weir.runtime.KvCacheOptions;
import dev.weir.runtime.Step;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.Schedulers;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What an engine does when its device runs out of memory, fails or hangs. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class DeviceFaultTest {
  private final Mailbox mailbox = new Mailbox(100);

  private List<Generation> submit(int count) {
    List<Generation> generations = new ArrayList<>();
    for (int id = 0; id < count; id++) {
      generations.add(LoopFixture.submit(mailbox, id));
    }
    return generations;
  }

  /** Throws instead of the step number {@code number}, counted from 1. */
  private static Consumer<Step> failing(int number, RuntimeException failure) {
    AtomicInteger steps = new AtomicInteger();
    return step -> {
      if (steps.incrementAndGet() == number) {
        throw failure;
      }
      step.run();
    };
  }

  private static void assertFailed(Generation generation, Class<? extends Throwable> cause) {
    assertThat(generation.completion())
        .failsWithin(1, TimeUnit.SECONDS)
        .withThrowableThat()
        .havingCause()
        .isInstanceOf(GenerationFailedException.class)
        .havingCause()
        .isInstanceOf(cause);
    assertThatThrownBy(generation::await).isInstanceOf(GenerationFailedException.class);
  }

  /**
   * The cache allows two sequences, the scheduler three: the third fails like a device out of
   * memory would.
   */
  @Test
  void batchOutOfMemoryFailsAloneAndBlocksAreConserved() throws InterruptedException {
    KvCacheOptions twoSequences =
        KvCacheOptions.ofBlocks(LoopFixture.MEMORY.blocks()).withMaxSequences(2);
    try (LoopFixture fixture = new LoopFixture(twoSequences)) {
      List<Generation> failing = submit(3);
      Thread thread = Thread.ofPlatform().start(fixture.loop(mailbox, LoopFixture.fcfs()));
      for (Generation generation : failing) {
        assertFailed(generation, DeviceMemoryException.class);
      }
      assertServesAndConserves(fixture, thread);
    }
  }

  @Test
  void memoryThatIsExhaustedWithinAStepFailsThatBatchOnly() throws InterruptedException {
    try (LoopFixture fixture = new LoopFixture()) {
      List<Generation> generations = submit(7);
      Consumer<Step> runner = failing(4, new DeviceMemoryException("injected", 2, 1));
      Thread thread =
          Thread.ofPlatform()
              .start(fixture.loop(mailbox, LoopFixture.fcfs(), runner, Duration.ZERO));
      // Three run at a time, so these are the batch of the fourth step.
      for (Generation generation : generations.subList(0, LoopFixture.LIMITS.maxSequences())) {
        assertFailed(generation, DeviceMemoryException.class);
        assertThat(generation.delivered()).hasSize(3);
      }
      for (Generation generation : generations.subList(LoopFixture.LIMITS.maxSequences(), 7)) {
        assertThat(generation.await().ids()).hasSize(LoopFixture.TOKENS);
      }
      assertThat(fixture.counters.failedIterations.sum()).isOne();
      assertServesAndConserves(fixture, thread);
    }
  }

  /** Afterwards the loop has ended. */
  private void assertServesAndConserves(LoopFixture fixture, Thread thread)
      throws InterruptedException {
    assertThat(LoopFixture.submit(mailbox, 99).await().ids()).hasSize(LoopFixture.TOKENS);
    assertThat(fixture.cache.freeBlocks()).isEqualTo(LoopFixture.MEMORY.blocks());
    assertThat(mailbox.state()).isEqualTo(EngineState.RUNNING);
    mailbox.close(System.nanoTime());
    thread.join();
    assertThat(mailbox.state()).isEqualTo(EngineState.CLOSED);
    assertThat(fixture.released).hasValue(1);
  }

  @Test
  void aDeviceThatFailsEndsEverythingWithinASecond() throws InterruptedException {
    try (LoopFixture fixture = new LoopFixture()) {
      List<Generation> generations = submit(8);
      Consumer<Step> runner = failing(3, new DeviceFailedException("injected sticky error"));
      EngineLoop loop = fixture.loop(mailbox, LoopFixture.fcfs(), runner, Duration.ZERO);
      Thread thread = Thread.ofPlatform().start(loop);
      for (Generation generation : generations) {
        assertFailed(generation, DeviceFailedException.class);
      }
      loop.awaitEnd();
      thread.join();
      assertThat(mailbox.state()).isEqualTo(EngineState.FAILED);
      assertThatThrownBy(() -> LoopFixture.submit(mailbox, 9))
          .isInstanceOf(RejectedRequestException.class)
          .hasRootCauseInstanceOf(DeviceFailedException.class);
      assertThat(fixture.counters.failed.sum()).isEqualTo(8);
      assertThat(loop.statistics().capacity()).isEqualTo(LoopFixture.MEMORY.blocks());
      assertThat(fixture.released).hasValue(1);
    }
  }

  /** The third step hangs until the test lets it go. */
  @Test
  void aDeviceThatHangsFailsEverythingAndIsReleasedWhenItReturns() throws InterruptedException {
    CountDownLatch hanging = new CountDownLatch(1);
    CountDownLatch letGo = new CountDownLatch(1);
    AtomicInteger steps = new AtomicInteger();
    Consumer<Step> runner =
        step -> {
          if (steps.incrementAndGet() == 3) {
            hanging.countDown();
            EngineGate.await(letGo);
          }
          step.run();
        };
    try (LoopFixture fixture = new LoopFixture()) {
      List<Generation> generations = submit(8);
      EngineLoop loop = fixture.loop(mailbox, LoopFixture.fcfs(), runner, Duration.ofMillis(300));
      Thread thread = Thread.ofPlatform().start(loop);
      hanging.await();
      generations.add(LoopFixture.submit(mailbox, 8)); // not collected any more
      for (Generation generation : generations) {
        assertThatThrownBy(generation::await)
            .isInstanceOf(GenerationFailedException.class)
            .hasMessageContaining("stepTimeout")
            .hasCauseInstanceOf(StepTimeoutException.class);
      }
      loop.awaitEnd();
      assertThat(thread.isAlive()).isTrue();
      assertThat(mailbox.state()).isEqualTo(EngineState.FAILED);
      assertThat(loop.stalled()).isTrue();
      assertThat(fixture.counters.stepRunning).isTrue();
      assertThat(loop.statistics().capacity()).isEqualTo(LoopFixture.MEMORY.blocks());
      assertThat(fixture.released).as("the device is still in use").hasValue(0);
      assertThatThrownBy(() -> LoopFixture.submit(mailbox, 9))
          .isInstanceOf(RejectedRequestException.class)
          .hasCauseInstanceOf(StepTimeoutException.class);

      letGo.countDown();
      thread.join();
      assertThat(fixture.released).hasValue(1);
      assertThat(fixture.counters.failed.sum()).isEqualTo(9);
      assertThat(fixture.counters.finished().values()).containsOnly(0L);
      for (Generation generation : generations) {
        assertThat(generation.delivered()).hasSizeLessThanOrEqualTo(2);
      }
    }
  }

  @Test
  void closingDoesNotWaitForADeviceThatHangs() throws InterruptedException {
    CountDownLatch letGo = new CountDownLatch(1);
    try (LoopFixture fixture = new LoopFixture()) {
      EngineLoop loop =
          fixture.loop(
              mailbox, LoopFixture.fcfs(), step -> EngineGate.await(letGo), Duration.ofMillis(100));
      Thread thread = Thread.ofPlatform().start(loop);
      submit(1);
      mailbox.close(System.nanoTime());
      CompletableFuture<Void> closed =
          CompletableFuture.runAsync(
              () -> {
                try {
                  loop.awaitEnd();
                } catch (InterruptedException e) {
                  throw new AssertionError(e);
                }
              });
      assertThat(closed).succeedsWithin(Duration.ofSeconds(30));
      letGo.countDown();
      thread.join();
    }
  }

  /**
   * The embedding of one token is NaN, and with it the logits of whoever has it in the prompt. The
   * other requests are those of the same batches and come out as without it.
   */
  @ParameterizedTest
  @MethodSource("schedulers")
  void aRequestWhoseLogitsAreNotFiniteFailsAlone(String scheduler, @TempDir Path folder)
      throws IOException {
    int poisoned = 300;
    try (var files = Files.list(TestModel.STORIES)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Files.copy(file, folder.resolve(file.getFileName()));
      }
    }
    Path config = folder.resolve("config.json");
    JsonObject shape = JsonParser.parseString(Files.readString(config)).getAsJsonObject();
    shape.addProperty("tie_word_embeddings", false);
    Files.writeString(config, shape.toString());
    poison(folder.resolve("model.safetensors"), poisoned, shape.get("hidden_size").getAsInt());
    EngineOptions options =
        EngineOptions.builder(folder)
            .scheduler(scheduler)
            .schedulerOptions(
                scheduler.equals("capped-fcfs") ? Map.of("cap", "4") : Map.<String, String>of())
            .kvBlocks(64)
            .maxSequences(4)
            .build();
    try (Engine engine = Engine.start(options)) {
      List<int[]> expected = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        expected.add(engine.submit(ids(i)).await().ids());
      }
      EngineGate gate = new EngineGate();
      engine.addListener(gate);
      List<Generation> generations = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        generations.add(engine.submit(ids(i)));
      }
      gate.awaitReached();
      Generation bad =
          engine.submit(
              GenerationRequest.builder(new int[] {1, 403, poisoned, 407}).maxTokens(12).build());
      gate.open();
      assertFailed(bad, InvalidModelException.class);
      for (int i = 0; i < 6; i++) {
        assertThat(generations.get(i).await().ids()).as("request %d", i).isEqualTo(expected.get(i));
      }
      EngineStatistics statistics = engine.statistics();
      assertThat(statistics.failed()).isOne();
      assertThat(statistics.failedIterations()).isOne();
      assertThat(statistics.state()).isEqualTo(EngineState.RUNNING);
      assertThat(statistics.kv().used()).isZero();
      assertThat(statistics.stalled()).isFalse();
      assertThat(statistics.gpu()).isEmpty();
    }
  }

  static Stream<String> schedulers() {
    return Schedulers.all().stream()
        .map(SchedulerFactory::name)
        .filter(name -> !name.equals("failing"));
  }

  private static GenerationRequest ids(int i) {
    return GenerationRequest.builder(new int[] {1, 403, 407 + i, 261})
        .maxTokens(12)
        .knownOutputTokens(12)
        .ignoreEos(true)
        .build();
  }

  /**
   * Gives the model an output matrix of its own, equal to its embeddings, and fills the embedding
   * of one token with NaN.
   */
  private static void poison(Path safetensors, int token, int width) throws IOException {
    ByteBuffer file =
        ByteBuffer.wrap(Files.readAllBytes(safetensors)).order(ByteOrder.LITTLE_ENDIAN);
    int headerBytes = Math.toIntExact(file.getLong(0));
    String text = new String(file.array(), Long.BYTES, headerBytes, StandardCharsets.UTF_8);
    JsonObject header = JsonParser.parseString(text).getAsJsonObject();
    JsonObject embedding = header.getAsJsonObject("model.embed_tokens.weight");
    assertThat(embedding.get("dtype").getAsString()).isEqualTo("F32");
    int data = Long.BYTES + headerBytes;
    int begin = embedding.getAsJsonArray("data_offsets").get(0).getAsInt();
    int end = embedding.getAsJsonArray("data_offsets").get(1).getAsInt();
    int tensorBytes = file.capacity() - data;

    JsonObject output = embedding.deepCopy();
    JsonArray offsets = new JsonArray();
    offsets.add(tensorBytes);
    offsets.add(tensorBytes + end - begin);
    output.add("data_offsets", offsets);
    header.add("lm_head.weight", output);
    byte[] newHeader = header.toString().getBytes(StandardCharsets.UTF_8);
    ByteBuffer changed =
        ByteBuffer.allocate(Long.BYTES + newHeader.length + tensorBytes + end - begin)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putLong(newHeader.length)
            .put(newHeader)
            .put(file.array(), data, tensorBytes)
            .put(file.array(), data + begin, end - begin);
    int row = Long.BYTES + newHeader.length + begin + token * width * Float.BYTES;
    for (int i = 0; i < width; i++) {
      changed.putFloat(row + i * Float.BYTES, Float.NaN);
    }
    Files.write(safetensors, changed.array());
  }
}
