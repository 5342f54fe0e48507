package dev.weir.benchmarks;

import dev.weir.runtime.Precision;
import dev.weir.runtime.Sampling;
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
 * One decode step of the bundled stories260K as the engine runs it: fill the batch, run, read the
 * tokens. The model is so small that what the runtime adds to the arithmetic shows. Contexts grow
 * from 32 to 160 tokens and are cut back, so the mean is 96; what {@code -prof gc} counts is the
 * cutting back ({@link KvBenchmark#truncate}), once in 128 steps for each sequence.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(
    value = 1,
    jvmArgsAppend = {"--enable-native-access=ALL-UNNAMED"})
public class StepBenchmark {
  private static final int PROMPT = 32;
  private static final int LONGEST_CONTEXT = 160;

  @Param("cpu")
  String device;

  @Param({"BF16", "INT8", "FP32"})
  Precision precision;

  @Param({"1", "8", "64"})
  int sequences;

  private BenchmarkModel model;
  private DecodeBatch batch;

  @Setup
  public void open() {
    model = BenchmarkModel.stories260K(device, precision);
    batch = new DecodeBatch(model, sequences, PROMPT, LONGEST_CONTEXT, Sampling.greedy());
  }

  @TearDown
  public void close() {
    batch.close();
    model.close();
  }

  @Benchmark
  public int decode() {
    return batch.decode();
  }
}
