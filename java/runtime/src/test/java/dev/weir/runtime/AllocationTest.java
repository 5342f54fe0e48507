package dev.weir.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The hot path puts nothing on the Java heap once it is warm. */
class AllocationTest {
  private static final int ENTRIES = 4;
  private static final int TOP = 3;
  private static final int STEPS = 1_000;
  private static final int ROUNDS = 10;

  private final int[] chunk = {260, 261};
  private long checksum;

  @ParameterizedTest
  @EnumSource(names = {"FP32", "BF16", "INT8"})
  void steadyStateStepsAllocateNothing(Precision precision) {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    try (TestObjects objects = new TestObjects(precision);
        KvCache cache = objects.cache(ENTRIES * 4);
        Step step = Step.create(cache, new StepOptions(ENTRIES, ENTRIES * 2, TOP))) {
      Sequence[] sequences = new Sequence[ENTRIES];
      for (int i = 0; i < ENTRIES; i++) {
        sequences[i] = cache.createSequence();
      }
      Sampling[] samplings = {
        Sampling.greedy(), new Sampling(0.8f, 40, 0.95f, 1.1f, 7, TOP),
      };
      // The compiler decides when the code is warm, so the steps are counted in rounds until one is
      // free of
      // allocations.
      long least = Long.MAX_VALUE;
      for (int round = 0; round < ROUNDS && least > 0; round++) {
        least = Math.min(least, allocatedBy(threads, cache, step, sequences, samplings));
      }
      assertThat(least).as("bytes that %d steps allocated", STEPS).isZero();
      assertThat(checksum).isPositive();
    }
  }

  private long allocatedBy(
      ThreadMXBean threads, KvCache cache, Step step, Sequence[] sequences, Sampling[] samplings) {
    long allocated = 0;
    for (int i = 0; i < STEPS; i++) {
      // Truncating is no part of a decode step.
      for (Sequence sequence : sequences) {
        if (sequence.length() > 56) {
          sequence.truncate(0);
        }
      }
      long before = threads.getCurrentThreadAllocatedBytes();
      decode(cache, step, sequences, samplings);
      allocated += threads.getCurrentThreadAllocatedBytes() - before;
    }
    return allocated;
  }

  private void decode(KvCache cache, Step step, Sequence[] sequences, Sampling[] samplings) {
    step.clear();
    for (int i = 0; i < ENTRIES; i++) {
      int entry = i == 0 ? step.add(sequences[i], chunk, 0, 2) : step.add(sequences[i], 300 + i);
      step.sample(entry, samplings[i % 2]);
    }
    step.run();
    checksum += step.entries() + step.tokens() + step.nanoseconds() + step.blocksTaken();
    checksum += step.copiedOnWrite() + cache.freeBlocks() + cache.freeSwapBlocks();
    for (int i = 0; i < ENTRIES; i++) {
      checksum += step.sampledToken(i) + sequences[i].length();
      checksum += (long) -step.sampledLogProbability(i);
      if (i % 2 == 1) {
        for (int rank = 0; rank < TOP; rank++) {
          checksum += step.topToken(i, rank) + (long) -step.topLogProbability(i, rank);
        }
      }
    }
  }
}
