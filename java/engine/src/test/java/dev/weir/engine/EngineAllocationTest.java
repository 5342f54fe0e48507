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

/** An iteration in a steady state allocates nothing. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class EngineAllocationTest {
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  /** Bytes that the engine's thread allocated between the ends of two iterations. */
  private static final class AllocationMeter implements EngineListener {
    final List<Long> withoutTokens = new ArrayList<>();
    final List<Long> withTokens = new ArrayList<>();
    private long last = -1;

    @Override
    public void iteration(IterationEvent event) {
      if (last >= 0) {
        long allocated = THREADS.getCurrentThreadAllocatedBytes() - last;
        if (event.generatedTokens() == 0) {
          withoutTokens.add(allocated);
        } else {
          withTokens.add(allocated);
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
    // Half of them at least: now and then the place for a request's tokens has to grow.
    assertThat(meter.withTokens).hasSizeGreaterThan(50);
    assertThat(median(meter.withTokens)).isZero();
    assertThat(meter.withoutTokens).hasSizeGreaterThan(50);
    assertThat(median(meter.withoutTokens)).isZero();
  }

  private static long median(List<Long> values) {
    long[] sorted = values.stream().mapToLong(Long::longValue).toArray();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
