package dev.weir.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What {@link Engine#submit} refuses, and that it says why. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class AdmissionTest {
  private static Engine engine;

  @BeforeAll
  static void start() {
    engine =
        Engine.start(
            EngineOptions.builder(TestModel.STORIES)
                .scheduler("fcfs")
                .kvBlocks(20)
                .queueCapacity(3)
                .maxTopLogProbabilities(7)
                .build());
  }

  @AfterAll
  static void close() {
    engine.close();
  }

  static Stream<Arguments> refused() {
    return Stream.of(
        Arguments.of(ids(), RejectionReason.EMPTY_PROMPT, "no token"),
        Arguments.of(ids(1, -1), RejectionReason.INVALID_TOKEN, "token 1 of the prompt is -1"),
        Arguments.of(ids(512), RejectionReason.INVALID_TOKEN, "is 512, must be in 0..511"),
        Arguments.of(ids(Integer.MIN_VALUE), RejectionReason.INVALID_TOKEN, "-2147483648"),
        Arguments.of(text("a\ud800"), RejectionReason.MALFORMED_TEXT, "surrogate"),
        Arguments.of(
            text("x".repeat(10_000_000)), RejectionReason.EXCEEDS_CONTEXT, "10000000 characters"),
        Arguments.of(ids(new int[512]), RejectionReason.EXCEEDS_CONTEXT, "512"),
        Arguments.of(
            ids(new int[511]).maxTokens(2), RejectionReason.EXCEEDS_CONTEXT, "maxTokens is 2"),
        Arguments.of(ids(1).maxTokens(Integer.MAX_VALUE), RejectionReason.EXCEEDS_CONTEXT, "512"),
        Arguments.of(ids(1).maxTokens(320), RejectionReason.EXCEEDS_KV_CAPACITY, "320 (kvBlocks"),
        Arguments.of(ids(1).maxTokensUpToContext(), RejectionReason.EXCEEDS_KV_CAPACITY, "kvBytes"),
        Arguments.of(ids(1).maxTokens(0), RejectionReason.INVALID_PARAMETER, "maxTokens is 0"),
        Arguments.of(ids(1).maxTokens(-1), RejectionReason.INVALID_PARAMETER, "maxTokens is -1"),
        invalid(ids(1).temperature(Float.NaN), "temperature"),
        invalid(ids(1).temperature(-0.1f), "temperature"),
        invalid(ids(1).temperature(Float.POSITIVE_INFINITY), "temperature"),
        invalid(ids(1).topP(0), "topP"),
        invalid(ids(1).topP(1.1f), "topP"),
        invalid(ids(1).topP(Float.NaN), "topP"),
        invalid(ids(1).topK(-1), "topK"),
        invalid(ids(1).topK(513), "topK"),
        invalid(ids(1).repetitionPenalty(0), "repetitionPenalty"),
        invalid(ids(1).repetitionPenalty(Float.NaN), "repetitionPenalty"),
        invalid(ids(1).topLogProbabilities(-1), "topLogProbabilities"),
        invalid(ids(1).topLogProbabilities(8), "maxTopLogProbabilities"),
        invalid(ids(1).knownOutputTokens(0), "knownOutputTokens"),
        invalid(ids(1).stop(List.of("")), "stop string"),
        invalid(ids(1).stop(List.of("x".repeat(1025))), "1025"),
        invalid(ids(1).stop(Collections.nCopies(10_000, "x")), "10000 stop strings"),
        invalid(ids(1).deadline(Duration.ZERO), "deadline"),
        invalid(ids(1).deadline(Duration.ofSeconds(Long.MIN_VALUE)), "deadline"));
  }

  @ParameterizedTest
  @MethodSource("refused")
  void refuses(GenerationRequest.Builder request, RejectionReason reason, String message) {
    EngineStatistics before = engine.statistics();
    assertThatThrownBy(() -> engine.submit(request.build()))
        .isInstanceOfSatisfying(
            RejectedRequestException.class, e -> assertThat(e.reason()).isEqualTo(reason))
        .hasMessageContaining(message);
    EngineStatistics after = engine.statistics();
    assertThat(after.rejected().get(reason)).isEqualTo(before.rejected().get(reason) + 1);
    assertThat(after.accepted()).isEqualTo(before.accepted());
  }

  @Test
  void acceptsWhatJustFits() {
    GenerationResult result =
        engine.submit(ids(1, 403).maxTokens(318).ignoreEos(true).build()).await();
    assertThat(result.ids()).hasSize(318);
    assertThat(engine.submit(text("").maxTokens(1).build()).await().promptIds()).containsExactly(1);
    assertThat(
            engine
                .submit(
                    ids(1)
                        .deadline(Duration.ofSeconds(Long.MAX_VALUE))
                        .topK(512)
                        .topLogProbabilities(7)
                        .maxTokens(1)
                        .build())
                .await()
                .tokens()
                .get(0)
                .top())
        .hasSize(7);
  }

  @Test
  void asManyTokensAsTheContextHasRoomFor() {
    try (Engine roomy = Engine.start(EngineOptions.builder(TestModel.STORIES).build())) {
      GenerationResult result =
          roomy
              .submit(
                  ids(IntStream.range(3, 500).toArray())
                      .maxTokensUpToContext()
                      .ignoreEos(true)
                      .build())
              .await();
      assertThat(result.promptIds().length + result.ids().length).isEqualTo(512);
      assertThat(result.finishReason()).isEqualTo(FinishReason.LENGTH);
    }
  }

  @Test
  void fullQueueRefusesUntilThereIsRoom() {
    EngineGate gate = new EngineGate();
    engine.addListener(gate);
    Generation running = engine.submit(ids(1).maxTokens(300).ignoreEos(true).build());
    gate.awaitReached();
    List<Generation> queued =
        IntStream.range(0, 3).mapToObj(i -> engine.submit(ids(1).maxTokens(5).build())).toList();
    assertThatThrownBy(() -> engine.submit(ids(1).build()))
        .isInstanceOfSatisfying(
            RejectedRequestException.class,
            e -> assertThat(e.reason()).isEqualTo(RejectionReason.QUEUE_FULL))
        .hasMessageContaining("queueCapacity");
    // A cancelled request makes room, although it was never part of an iteration.
    queued.get(0).cancel();
    gate.open();
    engine.removeListener(gate);
    assertThat(queued.get(0).await().finishReason()).isEqualTo(FinishReason.CANCELLED);
    for (Generation generation : queued.subList(1, 3)) {
      assertThat(generation.await().finishReason()).isEqualTo(FinishReason.LENGTH);
    }
    assertThat(running.await().ids()).hasSize(300);
    assertThat(engine.submit(ids(1).maxTokens(1).build()).await().ids()).hasSize(1);
  }

  @Test
  void modelWithoutTokenizerServesIds(@TempDir Path folder) throws Exception {
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(TestModel.STORIES.resolve(file), folder.resolve(file));
    }
    try (Engine bare = Engine.start(EngineOptions.builder(folder).build())) {
      assertThat(bare.hasTokenizer()).isFalse();
      GenerationResult result = bare.submit(ids(1, 403, 407).maxTokens(4).build()).await();
      assertThat(result.ids()).hasSize(4);
      assertThat(result.text()).isEmpty();
      for (GenerationRequest.Builder request : List.of(text("Once"), ids(1).stop(List.of("x")))) {
        assertThatThrownBy(() -> bare.submit(request.build()))
            .isInstanceOfSatisfying(
                RejectedRequestException.class,
                e -> assertThat(e.reason()).isEqualTo(RejectionReason.NO_TOKENIZER))
            .hasMessageContaining(folder.toString());
      }
    }
  }

  private static GenerationRequest.Builder ids(int... ids) {
    return GenerationRequest.builder(ids);
  }

  private static GenerationRequest.Builder text(String text) {
    return GenerationRequest.builder(text);
  }

  private static Arguments invalid(GenerationRequest.Builder request, String message) {
    return Arguments.of(request, RejectionReason.INVALID_PARAMETER, message);
  }
}
