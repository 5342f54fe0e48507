package dev.weir.benchmarks;

import dev.weir.runtime.Device;
import dev.weir.runtime.DeviceOptions;
import dev.weir.runtime.KvCache;
import dev.weir.runtime.KvCacheOptions;
import dev.weir.runtime.Model;
import dev.weir.runtime.ModelOptions;
import dev.weir.runtime.Precision;
import dev.weir.runtime.Sampling;
import dev.weir.runtime.Sequence;
import dev.weir.runtime.Step;
import dev.weir.runtime.StepOptions;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
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
 * One decode step of the bundled model as the engine runs it: fill the batch, run, read the tokens.
 * With {@code -prof gc} it shows what is allocated. Every sequence is cut back to its prompt when
 * it reaches {@link #LONGEST_CONTEXT}, so the mean context stays the same.
 *
 * <p>Run from the root of the tree, or pass {@code -Dweir.benchmark.model=DIR} in {@code
 * -jvmArgsAppend}.
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

  /** One that the processor lacks ends its run with the reason. */
  @Param({"BF16", "INT8", "FP32"})
  Precision precision;

  @Param({"1", "8", "64"})
  int sequences;

  private Device device;
  private Model model;
  private KvCache cache;
  private Step step;
  private Sequence[] running;
  private int[] next;
  private int length;
  private final Sampling greedy = Sampling.greedy();

  @Setup(Level.Trial)
  public void open() {
    Path folder = Path.of(System.getProperty("weir.benchmark.model", "models/stories260K"));
    device = Device.open(DeviceOptions.cpu().withPrecision(precision));
    model = Model.load(device, folder, ModelOptions.defaults());
    cache = KvCache.create(model, KvCacheOptions.ofBlocks(sequences * (LONGEST_CONTEXT / 16L + 1)));
    step = Step.create(cache, new StepOptions(sequences, sequences * PROMPT, 0));
    running = new Sequence[sequences];
    next = new int[sequences];
    int[] prompt = new int[PROMPT];
    for (int i = 0; i < sequences; i++) {
      running[i] = cache.createSequence();
      for (int t = 0; t < PROMPT; t++) {
        prompt[t] = t == 0 ? 1 : 3 + (31 * i + 7 * t) % 500;
      }
      step.sample(step.add(running[i], prompt, 0, PROMPT), greedy);
    }
    step.run();
    readTokens();
    length = PROMPT;
  }

  @TearDown(Level.Trial)
  public void close() {
    step.close();
    cache.close();
    model.close();
    device.close();
  }

  @Benchmark
  public int decode() {
    if (length == LONGEST_CONTEXT) {
      for (Sequence sequence : running) {
        sequence.truncate(PROMPT);
      }
      length = PROMPT;
    }
    step.clear();
    for (int i = 0; i < sequences; i++) {
      step.sample(step.add(running[i], next[i]), greedy);
    }
    step.run();
    length++;
    return readTokens();
  }

  private int readTokens() {
    int sum = 0;
    for (int i = 0; i < sequences; i++) {
      next[i] = step.sampledToken(i);
      sum += next[i];
    }
    return sum;
  }
}
