package dev.weir.engine;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** An iteration in a steady state allocates nothing but the tokens that it delivers. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class EngineAllocationTest {
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  /**
   * What one token may cost: the token itself, and its place among the generation's tokens. Its
   * text is mostly that of the vocabulary.
   */
  private static final long BYTES_PER_TOKEN = 80;

  /** Bytes that the engine's thread allocated between the ends of two iterations. */
  private static final class AllocationMeter implements EngineListener {
    final List<Long> withoutTokens = new ArrayList<>();
    final List<Long> perToken = new ArrayList<>();
    private long last = -1;

    @Override
    public void iteration(IterationEvent event) {
      if (last >= 0) {
        long allocated = THREADS.getCurrentThreadAllocatedBytes() - last;
        if (event.generatedTokens() == 0) {
          withoutTokens.add(allocated);
        } else {
          perToken.add(allocated / event.generatedTokens());
        }
      }
      last = THREADS.getCurrentThreadAllocatedBytes();
    }
  }

  @Test
  void steadyState() {
    EngineOptions options =
        EngineOptions.builder(TestModel.STORIES).scheduler("fcfs").maxBatchTokens(8).build();
    AllocationMeter meter = new AllocationMeter();
    try (Engine engine = Engine.start(options)) {
      for (int round = 0; round < 14; round++) {
        if (round == 8) {
          engine.addListener(meter); // the loop has been compiled by now
        }
        // Four tokens an iteration for the prompt, after four requests decode beside it.
        int[] prompt = IntStream.range(0, 400).map(i -> 3 + i % 500).toArray();
        List<Generation> generations = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
          generations.add(
              engine.submit(
                  GenerationRequest.builder(1, 403).maxTokens(60).ignoreEos(true).build()));
        }
        generations.add(engine.submit(GenerationRequest.builder(prompt).maxTokens(1).build()));
        generations.forEach(Generation::await);
      }
    }
    assertThat(median(meter.perToken)).isBetween(1L, BYTES_PER_TOKEN);
    assertThat(meter.withoutTokens).hasSizeGreaterThan(50);
    assertThat(median(meter.withoutTokens)).isZero();
  }

  private static long median(List<Long> values) {
    long[] sorted = values.stream().mapToLong(Long::longValue).toArray();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
