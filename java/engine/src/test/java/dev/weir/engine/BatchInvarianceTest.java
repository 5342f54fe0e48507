package dev.weir.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.weir.engine.TestModel.GoldenCase;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Who else is served at the same time changes nothing in the tokens of a request. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class BatchInvarianceTest {
  private static final int STRANGERS = 40;
  private static final int VOCABULARY = 512;

  /**
   * In the default precision. Larger batches than this may go to oneDNN, which promises no order of
   * additions.
   */
  @Test
  void byDefaultInBatchesOfOurOwnKernels() {
    assertSameInCompany(EngineOptions.builder(TestModel.STORIES).maxBatchTokens(100));
  }

  @Test
  void deterministicInBatchesOfAnySize() {
    assertSameInCompany(EngineOptions.builder(TestModel.STORIES).deterministic(true));
  }

  private static void assertSameInCompany(EngineOptions.Builder setup) {
    EngineOptions options = setup.scheduler("fcfs").build();
    List<int[]> alone = new ArrayList<>();
    try (Engine engine = Engine.start(options)) {
      for (GoldenCase golden : TestModel.goldenCases()) {
        alone.add(engine.submit(greedy(golden.prompt_ids())).await().ids());
      }
    }
    SplittableRandom random = new SplittableRandom(1);
    try (Engine engine = Engine.start(options)) {
      List<Generation> generations = new ArrayList<>();
      for (GoldenCase golden : TestModel.goldenCases()) {
        generations.add(engine.submit(greedy(golden.prompt_ids())));
        for (int i = 0; i < STRANGERS / TestModel.goldenCases().size(); i++) {
          engine.submit(greedy(random.ints(random.nextInt(1, 150), 3, VOCABULARY).toArray()));
        }
      }
      for (int i = 0; i < alone.size(); i++) {
        assertThat(generations.get(i).await().ids())
            .as("%s", TestModel.goldenCases().get(i))
            .isEqualTo(alone.get(i));
      }
    }
  }

  private static GenerationRequest greedy(int[] prompt) {
    return GenerationRequest.builder(prompt).maxTokens(64).ignoreEos(true).build();
  }
}
