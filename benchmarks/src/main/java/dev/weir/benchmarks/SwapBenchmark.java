package dev.weir.benchmarks;

import dev.weir.runtime.KvCache;
import dev.weir.runtime.KvCacheOptions;
import dev.weir.runtime.Precision;
import dev.weir.runtime.Sequence;
import dev.weir.runtime.Step;
import dev.weir.runtime.StepOptions;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * A sequence moves to the host swap space and back, in blocks of Llama-2-7B's shape: 16 tokens of
 * one layer take 256 KiB in 16 bits. {@code bytes} are those that moved, out and in, a second.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 1,
    jvmArgsAppend = {"--enable-native-access=ALL-UNNAMED"})
public class SwapBenchmark {
  private static final int BLOCK_SIZE = 16;

  /** Bytes that moved, which JMH divides by the time. */
  @State(Scope.Thread)
  @AuxCounters(AuxCounters.Type.OPERATIONS)
  public static class Counters {
    public long bytes;

    @Setup(Level.Iteration)
    public void clear() {
      bytes = 0;
    }
  }

  @Param("cpu")
  String device;

  @Param("DEFAULT")
  Precision precision;

  /** Layers that are kept; 0 = all. */
  @Param("1")
  int layers;

  /** Length of the sequence; 2,048 take more room than a processor's caches have. */
  @Param("2048")
  int tokens;

  private BenchmarkModel model;
  private KvCache cache;
  private Sequence sequence;
  private long bytes;

  @Setup
  public void open() {
    model = BenchmarkModel.llama2(BenchmarkModel.device(device).withPrecision(precision), layers);
    long blocks = (tokens + BLOCK_SIZE - 1) / BLOCK_SIZE;
    // The host holds the other copy; on the CPU both are the same memory.
    model.requireKvMemory(2 * blocks * BLOCK_SIZE);
    cache =
        KvCache.create(
            model.model(),
            KvCacheOptions.ofBlocks(blocks).withBlockSize(BLOCK_SIZE).withSwapBlocks(blocks));
    sequence = cache.createSequence();
    try (Step step = Step.create(cache, new StepOptions(1, tokens, 0))) {
      step.add(sequence, DecodeBatch.prompt(0, tokens), 0, tokens);
      step.run();
    }
    bytes = 2 * blocks * cache.statistics().blockBytes();
  }

  @TearDown
  public void close() {
    cache.close();
    model.close();
  }

  @Benchmark
  public void outAndIn(Counters counters) {
    sequence.swapOut();
    sequence.swapIn();
    counters.bytes += bytes;
  }
}
