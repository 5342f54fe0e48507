package dev.weir.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.management.ThreadMXBean;
import dev.weir.runtime.Precision;
import dev.weir.runtime.Sampling;
import dev.weir.runtime.Sequence;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;

class DecodeBatchTest {
  private static final int SEQUENCES = 3;
  private static final int SHORTEST = 20;
  private static final int LONGEST = 36;

  @Test
  void contextsGrowAndAreCutBack() {
    try (BenchmarkModel model = BenchmarkModel.stories260K("cpu", Precision.FP32);
        DecodeBatch batch =
            new DecodeBatch(model, SEQUENCES, SHORTEST, LONGEST, Sampling.greedy())) {
      long sum = 0;
      for (int step = 0; step < 4 * (LONGEST - SHORTEST); step++) {
        assertThat(batch.decode()).isPositive();
        sum += batch.cache().statistics().residentTokens();
      }
      // After a step a context has from SHORTEST + 1 to LONGEST tokens, each equally often.
      double mean = (SHORTEST + 1 + LONGEST) / 2.0;
      assertThat(sum / (4.0 * (LONGEST - SHORTEST))).isEqualTo(SEQUENCES * mean);
    }
  }

  @Test
  void theFirstRoundContinuesThePrompt() {
    try (BenchmarkModel model = BenchmarkModel.stories260K("cpu-reference", Precision.FP32);
        DecodeBatch batch = new DecodeBatch(model, 1, 8, 16, Sampling.greedy());
        DecodeBatch other = new DecodeBatch(model, 1, 8, 64, Sampling.greedy())) {
      // Whether it will be cut back later makes no difference.
      for (int step = 0; step < 8; step++) {
        assertThat(batch.decode()).isEqualTo(other.decode());
      }
    }
  }

  /** What -prof gc counts in a run is the cutting back and what JMH itself allocates. */
  @Test
  void stepsThatDoNotCutBackAllocateNothing() {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    int growth = 100;
    try (BenchmarkModel model = BenchmarkModel.stories260K("cpu", Precision.DEFAULT);
        DecodeBatch batch =
            new DecodeBatch(model, SEQUENCES, SHORTEST, SHORTEST + growth, Sampling.greedy())) {
      // The compiler decides when the code is warm, so rounds are counted until one is free of
      // allocations.
      long least = Long.MAX_VALUE;
      for (int round = 0; round < 100 && least > 0; round++) {
        // Cuts back, but for the first round.
        batch.decode();
        long before = threads.getCurrentThreadAllocatedBytes();
        for (int step = 1; step < growth; step++) {
          batch.decode();
        }
        least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
      }
      assertThat(least).as("bytes that %d steps allocated", growth - 1).isZero();
    }
  }

  @Test
  void aPromptRidesAlong() {
    try (BenchmarkModel model = BenchmarkModel.stories260K("cpu", Precision.FP32);
        DecodeBatch batch =
            new DecodeBatch(
                model, SEQUENCES, SHORTEST, LONGEST, 40, Precision.DEFAULT, Sampling.greedy())) {
      Sequence prompting = batch.cache().createSequence();
      for (int step = 0; step < 2 * (LONGEST - SHORTEST); step++) {
        batch.decodeWith(prompting, DecodeBatch.prompt(SEQUENCES, 40));
        assertThat(prompting.length()).isEqualTo(40);
        prompting.truncate(0);
      }
    }
  }

  @Test
  void promptsOfNoOtherSequenceAreComputedWithoutOnes() {
    try (BenchmarkModel model = BenchmarkModel.stories260K("cpu", Precision.FP32);
        DecodeBatch batch =
            new DecodeBatch(model, 0, 0, 0, 100, Precision.DEFAULT, Sampling.greedy())) {
      Sequence sequence = batch.cache().createSequence();
      assertThat(batch.prefill(sequence, DecodeBatch.prompt(0, 100))).isNotNegative();
      assertThat(sequence.length()).isEqualTo(100);
    }
  }

  @Test
  void aKvPrecisionThatTheDeviceLacksSkipsTheBenchmark() {
    try (BenchmarkModel model = BenchmarkModel.stories260K("cpu", Precision.FP32)) {
      assertThatThrownBy(
              () -> new DecodeBatch(model, 1, 8, 16, 0, Precision.FP8, Sampling.greedy()))
          .isInstanceOf(SkippedException.class);
    }
  }
}
