package dev.weir.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.weir.engine.TestModel.GoldenCase;
import dev.weir.runtime.KvCacheStatistics;
import dev.weir.scheduling.Preemption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The tokens have to be those of llama2.c, whatever else happens in the engine. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class GoldenGenerationTest {
  private static final int TOKENS = 64;

  static Stream<Arguments> setups() {
    List<Arguments> setups = new ArrayList<>();
    for (String scheduler : List.of("fcfs", "nested-wait", "weir")) {
      for (int blockSize : new int[] {1, 3, 16}) {
        for (Preemption preemption : Preemption.values()) {
          setups.add(Arguments.of(scheduler, blockSize, preemption));
        }
      }
    }
    return setups.stream();
  }

  @ParameterizedTest
  @MethodSource("setups")
  void nineAtOnceInATinyPool(String scheduler, int blockSize, Preemption preemption) {
    EngineOptions options =
        TestModel.inFp32()
            .scheduler(scheduler)
            .blockSize(blockSize)
            .kvBlocks(320 / blockSize)
            .preemption(preemption)
            .swapBlocks(preemption == Preemption.SWAP ? 1000 / blockSize : 0)
            .build();
    try (Engine engine = Engine.start(options)) {
      List<GenerationResult> results = generateGolden(engine, request -> request);
      if (scheduler.equals("fcfs")) {
        EngineStatistics statistics = engine.statistics();
        assertThat(statistics.evictions()).isPositive();
        assertThat(statistics.evictions())
            .isEqualTo(results.stream().mapToInt(GenerationResult::evictions).sum());
        for (GenerationResult result : results) {
          assertThat(result.evictionNanoTimes()).isSorted();
          for (long time : result.evictionNanoTimes()) {
            assertThat(time - result.timings().submittedNanoTime()).isPositive();
            assertThat(result.tokens().getLast().nanoTime() - time).isPositive();
          }
        }
        assertThat(statistics.recomputedTokens())
            .isEqualTo(results.stream().mapToLong(GenerationResult::recomputedTokens).sum());
        if (preemption == Preemption.SWAP) {
          assertThat(statistics.swapEvictions()).isEqualTo(statistics.evictions());
          assertThat(statistics.recomputedTokens()).isZero();
          assertThat(statistics.kv().swappedIn()).isPositive();
        } else {
          assertThat(statistics.recomputedTokens()).isPositive();
        }
      }
      assertAllReturned(engine);
    }
  }

  @ParameterizedTest
  @MethodSource("batchLimits")
  void smallBatchesChunkThePrompts(int maxSequences, int maxBatchTokens) {
    EngineOptions options =
        TestModel.inFp32()
            .scheduler("fcfs")
            .maxSequences(maxSequences)
            .maxBatchTokens(maxBatchTokens)
            .build();
    try (Engine engine = Engine.start(options)) {
      generateGolden(engine, request -> request);
      assertAllReturned(engine);
    }
  }

  static Stream<Arguments> batchLimits() {
    return Stream.of(Arguments.of(1, 1), Arguments.of(2, 7), Arguments.of(9, 10));
  }

  @Test
  void textAndTokensAgree() {
    try (Engine engine = Engine.start(TestModel.inFp32().build())) {
      for (GoldenCase golden : TestModel.goldenCases()) {
        GenerationResult result =
            engine
                .submit(GenerationRequest.builder(golden.prompt()).maxTokens(TOKENS).build())
                .await();
        if (golden.decidedSteps() == TOKENS) {
          assertThat(result.text()).isEqualTo(golden.greedy_text());
        }
        assertThat(result.promptIds()).isEqualTo(golden.prompt_ids());
        assertThat(result.finishReason()).isEqualTo(FinishReason.LENGTH);
        StringBuilder streamed = new StringBuilder();
        result.tokens().forEach(token -> streamed.append(token.text()));
        assertThat(streamed.toString()).isEqualTo(result.text());
        assertThat(result.tokens().stream().mapToInt(GeneratedToken::id).toArray())
            .isEqualTo(result.ids());
      }
    }
  }

  @Test
  void sampledTokensDependNeitherOnTheBatchNorOnEvictions() {
    UnaryOperator<GenerationRequest.Builder> sampling =
        request ->
            request.temperature(0.8f).topK(100).topP(0.95f).repetitionPenalty(1.1f).seed(4711);
    List<int[]> alone = new ArrayList<>();
    try (Engine engine = Engine.start(TestModel.inFp32().scheduler("fcfs").build())) {
      for (GoldenCase golden : TestModel.goldenCases()) {
        alone.add(submit(engine, golden, sampling).await().ids());
      }
    }
    assertThat(alone.get(0)).isNotEqualTo(TestModel.goldenCases().get(0).greedy_ids());
    for (Preemption preemption : Preemption.values()) {
      EngineOptions crowded =
          TestModel.inFp32()
              .scheduler("fcfs")
              .kvBlocks(20)
              .swapBlocks(100)
              .preemption(preemption)
              .build();
      try (Engine engine = Engine.start(crowded)) {
        List<Generation> generations =
            TestModel.goldenCases().stream()
                .map(golden -> submit(engine, golden, sampling))
                .toList();
        for (int i = 0; i < generations.size(); i++) {
          assertThat(generations.get(i).await().ids())
              .as("%s, %s", TestModel.goldenCases().get(i), preemption)
              .isEqualTo(alone.get(i));
        }
        assertThat(engine.statistics().evictions()).isPositive();
      }
    }
  }

  @Test
  void logProbabilities() {
    try (Engine engine = Engine.start(TestModel.inFp32().build())) {
      GenerationResult result =
          engine
              .submit(
                  GenerationRequest.builder("Once upon a time")
                      .maxTokens(20)
                      .topLogProbabilities(20)
                      .build())
              .await();
      for (GeneratedToken token : result.tokens()) {
        assertThat(token.top()).hasSize(20);
        assertThat(token.top().get(0))
            .isEqualTo(new TokenLogProbability(token.id(), token.logProbability()));
        double sum = 0;
        float last = 0;
        for (TokenLogProbability top : token.top()) {
          assertThat(top.logProbability()).isLessThanOrEqualTo(last);
          last = top.logProbability();
          sum += Math.exp(last);
        }
        assertThat(sum).isLessThanOrEqualTo(1 + 1e-5).isGreaterThan(0.5);
      }
      GenerationResult without =
          engine
              .submit(GenerationRequest.builder("Once upon a time").maxTokens(20).build())
              .await();
      for (int i = 0; i < 20; i++) {
        assertThat(without.tokens().get(i).top()).isEmpty();
        assertThat(without.tokens().get(i).logProbability())
            .isCloseTo(result.tokens().get(i).logProbability(), within(1e-5f));
      }
    }
  }

  private static Generation submit(
      Engine engine, GoldenCase golden, UnaryOperator<GenerationRequest.Builder> parameters) {
    GenerationRequest.Builder request =
        GenerationRequest.builder(golden.prompt_ids()).maxTokens(TOKENS).ignoreEos(true);
    return engine.submit(parameters.apply(request).build());
  }

  private static List<GenerationResult> generateGolden(
      Engine engine, UnaryOperator<GenerationRequest.Builder> parameters) {
    List<Generation> generations = new ArrayList<>();
    for (GoldenCase golden : TestModel.goldenCases()) {
      generations.add(submit(engine, golden, parameters));
    }
    List<GenerationResult> results = generations.stream().map(Generation::await).toList();
    for (int i = 0; i < results.size(); i++) {
      GoldenCase golden = TestModel.goldenCases().get(i);
      int steps = golden.decidedSteps();
      assertThat(results.get(i).ids()).as("%s", golden).hasSize(TOKENS);
      assertThat(Arrays.copyOf(results.get(i).ids(), steps))
          .as("%s", golden)
          .isEqualTo(Arrays.copyOf(golden.greedy_ids(), steps));
    }
    return results;
  }

  private static void assertAllReturned(Engine engine) {
    KvCacheStatistics kv = engine.statistics().kv();
    assertThat(kv.free()).isEqualTo(kv.capacity());
    assertThat(kv.swapUsed()).isZero();
    assertThat(kv.sequences()).isZero();
  }
}
