package dev.weir.benchmarks;

import dev.weir.runtime.KvCache;
import dev.weir.runtime.KvCacheOptions;
import dev.weir.runtime.ModelOptions;
import dev.weir.runtime.Sequence;
import dev.weir.runtime.Step;
import dev.weir.runtime.StepOptions;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
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
 * Operations on the paged KV cache whose cost is bookkeeping: a sequence of {@code tokens} tokens
 * in blocks of 16, with the first layer of stories260K. A token gets into the cache only by a step,
 * so {@link #append} and {@link #copyOnWrite} hold the arithmetic of that layer as well, for 16
 * tokens and for one. {@link SwapBenchmark} has the operation that moves bytes.
 *
 * <p>Whatever happens once a request and not once a token takes its scratch memory from the heap:
 * {@code -prof gc} shows how much.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 1,
    jvmArgsAppend = {"--enable-native-access=ALL-UNNAMED"})
public class KvBenchmark {
  private static final int BLOCK_SIZE = 16;
  private static final int CONTEXT_LENGTH = 512;

  @Param("cpu")
  String device;

  /** Length of the sequence; its last block is half full if 8 remain after division by 16. */
  @Param("264")
  int tokens;

  private BenchmarkModel model;
  private KvCache cache;
  private Step step;
  private Sequence sequence;
  private int[] chunk;

  @Setup
  public void open() {
    model =
        BenchmarkModel.open(
            BenchmarkModel.device(device),
            BenchmarkModel.bundled("stories260K"),
            ModelOptions.defaults().withLayerLimit(1));
    cache =
        KvCache.create(
            model.model(),
            KvCacheOptions.ofBlocks(2 * CONTEXT_LENGTH / BLOCK_SIZE).withBlockSize(BLOCK_SIZE));
    step = Step.create(cache, new StepOptions(1, CONTEXT_LENGTH, 0));
    sequence = cache.createSequence();
    int[] prompt = DecodeBatch.prompt(0, tokens);
    run(sequence, prompt, prompt.length);
    chunk = DecodeBatch.prompt(1, BLOCK_SIZE);
  }

  @TearDown
  public void close() {
    step.close();
    cache.close();
    model.close();
  }

  private void run(Sequence sequence, int[] tokens, int count) {
    step.clear();
    step.add(sequence, tokens, 0, count);
    step.run();
  }

  /** An empty sequence comes and goes. */
  @Benchmark
  public void createAndClose() {
    cache.createSequence().close();
  }

  /** A fork of the sequence comes and goes; nothing is copied. */
  @Benchmark
  public void forkAndClose() {
    sequence.fork().close();
  }

  /** The call alone: no token is forgotten. */
  @Benchmark
  public void truncate() {
    sequence.truncate(tokens);
  }

  /** A block's worth of tokens is appended by a step without sampling, and forgotten again. */
  @Benchmark
  public void append() {
    run(sequence, chunk, BLOCK_SIZE);
    sequence.truncate(tokens);
  }

  /** A fork appends one token, so that the half full block is copied first; then it goes. */
  @Benchmark
  public void copyOnWrite() {
    try (Sequence fork = sequence.fork()) {
      run(fork, chunk, 1);
    }
  }
}
