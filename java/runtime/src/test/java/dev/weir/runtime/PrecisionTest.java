package dev.weir.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What fewer bits cost: the golden stories, teacher-forced, so that an error does not carry on, and
 * all of them in one batch.
 */
class PrecisionTest {
  /**
   * Where the golden token leads by more than the margin, it must come out.
   *
   * @param margin of the logits. 0.1 for bfloat16 is the tolerance of the bundled model; see {@code
   *     models/README.md}
   */
  @ParameterizedTest
  @CsvSource({"FP32, 0.001", "BF16, 0.1", "INT8, 0.25"})
  void tokensThatLeadAreChosen(Precision precision, float margin) {
    List<Golden.Case> cases = Golden.cases();
    int steps = cases.getFirst().greedyIds().length;
    try (TestObjects objects = new TestObjects(precision);
        KvCache cache = objects.cache(cases.size() * 16L);
        Step step = Step.create(cache, new StepOptions(cases.size(), 1024, 0))) {
      assertThat(objects.device.info().precision()).isEqualTo(precision);
      List<Sequence> sequences = new ArrayList<>();
      for (Golden.Case golden : cases) {
        Sequence sequence = cache.createSequence();
        sequences.add(sequence);
        int[] prompt = golden.promptIds();
        step.sample(step.add(sequence, prompt, 0, prompt.length), Sampling.greedy());
      }
      int compared = 0;
      for (int i = 0; i < steps; i++) {
        step.run();
        for (int c = 0; c < cases.size(); c++) {
          if (cases.get(c).greedyMargins()[i] > margin) {
            assertThat(step.sampledToken(c))
                .as("token %d of case %d", i, c)
                .isEqualTo(cases.get(c).greedyIds()[i]);
            compared++;
          }
        }
        step.clear();
        for (int c = 0; c < cases.size(); c++) {
          int token = cases.get(c).greedyIds()[i];
          step.sample(step.add(sequences.get(c), token), Sampling.greedy());
        }
      }
      assertThat(compared).isGreaterThan(steps * cases.size() * 3 / 4);
    }
  }
}
