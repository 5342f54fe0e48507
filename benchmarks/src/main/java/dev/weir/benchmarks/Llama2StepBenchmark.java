package dev.weir.benchmarks;

import dev.weir.runtime.Precision;
import dev.weir.runtime.Sampling;
import dev.weir.runtime.Sequence;
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
 * A step with the shapes of Llama-2-7B and random weights: decoding, a prompt, and both in one
 * step. On the CPU only the first layers are kept; the embedding and the output matrix, 0.26
 * billion parameters, are always there. A layer has 0.2 billion, so the time of a layer is the
 * difference of two runs, by {@code -p layers=1,2}. On a GPU: {@code --device cuda -p layers=0},
 * all 32.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 2, time = 3)
@Measurement(iterations = 5, time = 3)
@Fork(
    value = 1,
    jvmArgsAppend = {"--enable-native-access=ALL-UNNAMED"})
public class Llama2StepBenchmark {
  /** Contexts grow by so much before they are cut back. */
  private static final int GROWTH = 64;

  /** What all three have in common. */
  @State(Scope.Thread)
  public static class Loaded {
    @Param("cpu")
    String device;

    @Param("DEFAULT")
    Precision precision;

    /** Layers that are kept; 0 = all. */
    @Param("2")
    int layers;

    /** The numbers that keys and values are kept in. */
    @Param("DEFAULT")
    Precision kvPrecision;

    /** Whether a GPU replays decode steps as graphs; if not, a profiler sees their parts. */
    @Param("true")
    boolean graphs;

    BenchmarkModel model;

    @Setup
    public void load() {
      model =
          BenchmarkModel.llama2(
              BenchmarkModel.device(device).withPrecision(precision).withGraphs(graphs), layers);
    }

    @TearDown
    public void close() {
      model.close();
    }
  }

  @State(Scope.Thread)
  public static class Decode {
    @Param({"1", "8", "64"})
    int sequences;

    /** Mean context, in tokens. */
    @Param("128")
    int context;

    DecodeBatch batch;

    @Setup
    public void fill(Loaded loaded) {
      batch =
          new DecodeBatch(
              loaded.model,
              sequences,
              context - GROWTH / 2,
              context + GROWTH / 2,
              0,
              loaded.kvPrecision,
              Sampling.greedy());
    }

    @TearDown
    public void close() {
      batch.close();
    }
  }

  @State(Scope.Thread)
  public static class Mixed {
    @Param("64")
    int sequences;

    @Param("128")
    int context;

    /** Of the prompt that is computed in the same step. */
    @Param("512")
    int promptTokens;

    DecodeBatch batch;
    Sequence prompting;
    int[] prompt;

    @Setup
    public void fill(Loaded loaded) {
      batch =
          new DecodeBatch(
              loaded.model,
              sequences,
              context - GROWTH / 2,
              context + GROWTH / 2,
              promptTokens,
              loaded.kvPrecision,
              Sampling.greedy());
      prompting = batch.cache().createSequence();
      prompt = DecodeBatch.prompt(sequences, promptTokens);
    }

    @TearDown
    public void close() {
      batch.close();
    }
  }

  @State(Scope.Thread)
  public static class Prefill {
    @Param({"512", "2048"})
    int promptTokens;

    DecodeBatch batch;
    Sequence sequence;
    int[] prompt;

    @Setup
    public void prepare(Loaded loaded) {
      batch =
          new DecodeBatch(
              loaded.model, 0, 0, 0, promptTokens, loaded.kvPrecision, Sampling.greedy());
      sequence = batch.cache().createSequence();
      prompt = DecodeBatch.prompt(0, promptTokens);
    }

    @TearDown
    public void close() {
      batch.close();
    }
  }

  /** A token for each sequence. */
  @Benchmark
  public int decode(Decode state) {
    return state.batch.decode();
  }

  /** A token for each sequence and one prompt, in one step. */
  @Benchmark
  public int mixed(Mixed state) {
    int sum = state.batch.decodeWith(state.prompting, state.prompt);
    state.prompting.truncate(0);
    return sum;
  }

  /** A prompt; one of more than 2,048 tokens in several steps. */
  @Benchmark
  public int prefill(Prefill state) {
    int token = state.batch.prefill(state.sequence, state.prompt);
    state.sequence.truncate(0);
    return token;
  }
}
