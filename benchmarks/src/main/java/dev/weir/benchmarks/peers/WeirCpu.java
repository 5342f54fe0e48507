package dev.weir.benchmarks.peers;

import dev.weir.runtime.Device;
import dev.weir.runtime.DeviceInfo;
import dev.weir.runtime.DeviceOptions;
import dev.weir.runtime.KvCache;
import dev.weir.runtime.KvCacheOptions;
import dev.weir.runtime.Model;
import dev.weir.runtime.ModelOptions;
import dev.weir.runtime.Sampling;
import dev.weir.runtime.Sequence;
import dev.weir.runtime.Step;
import dev.weir.runtime.StepOptions;
import java.nio.file.Path;
import java.util.SplittableRandom;

/**
 * Weir's CPU backend in this process. The model is loaded once; each point has a KV cache of its
 * own. One thread at a time.
 */
final class WeirCpu implements AutoCloseable {
  private static final int BLOCK = 16;
  private static final int WARM_UP_CONTEXT = 32;
  private static final int WARM_UP_BATCH = 64;
  private static final int WARM_UP_STEPS = 300;

  private final Device device;
  private final Model model;
  private final SplittableRandom random = new SplittableRandom(1);

  /**
   * What was measured at a point.
   *
   * @param javaMicroseconds a decode step minus what the native call took of it, the median over
   *     the steps: from the return of a step to the next call, with reading the tokens and filling
   *     the batch
   */
  record Measured(Rates rates, double javaMicroseconds) {}

  private WeirCpu(Device device, Model model) {
    this.device = device;
    this.model = model;
  }

  /** Loads the model of a Hugging Face folder. */
  static WeirCpu load(Path folder, DeviceOptions options) {
    Device device = Device.open(options);
    try {
      return new WeirCpu(device, Model.load(device, folder, ModelOptions.defaults()));
    } catch (RuntimeException e) {
      device.close();
      throw e;
    }
  }

  /**
   * Runs so many steps of a small model that the JVM has compiled the code of a step, as it has in
   * an engine that has served for a few seconds.
   */
  static void warmUp(Path smallModel, DeviceOptions options) {
    try (WeirCpu weir = load(smallModel, options)) {
      weir.measure(new Point(WARM_UP_CONTEXT, WARM_UP_BATCH), WARM_UP_STEPS);
    }
  }

  DeviceInfo info() {
    return device.info();
  }

  /**
   * Measures a point. The same point with one decode step runs before it, unmeasured.
   *
   * @throws IllegalStateException if sequences that must be on their own share a block
   */
  Measured measure(Point point) {
    return measure(point, point.steps());
  }

  private Measured measure(Point point, int steps) {
    long blocksEach = (point.context() + steps + BLOCK - 1) / BLOCK;
    KvCacheOptions options =
        KvCacheOptions.ofBlocks((point.batch() + 1) * blocksEach)
            .withBlockSize(BLOCK)
            .withSwapBlocks(blocksEach);
    StepOptions limits =
        new StepOptions(point.batch(), Math.max(point.batch(), point.context()), 0);
    try (KvCache cache = KvCache.create(model, options);
        Step step = Step.create(cache, limits)) {
      run(cache, step, point, 1);
      return run(cache, step, point, steps);
    }
  }

  private Measured run(KvCache cache, Step step, Point point, int steps) {
    int[] prompt = random.ints(point.context(), 0, model.info().vocabularySize()).toArray();
    Sequence[] running = new Sequence[point.batch()];
    int[] next = new int[point.batch()];
    running[0] = cache.createSequence();
    try {
      long start = System.nanoTime();
      step.clear();
      step.sample(step.add(running[0], prompt, 0, prompt.length), Sampling.greedy());
      step.run();
      next[0] = step.sampledToken(0);
      double promptSeconds = (System.nanoTime() - start) / 1e9;
      for (int i = 1; i < running.length; i++) {
        running[i] = copy(running[0]);
        next[i] = random.nextInt(model.info().vocabularySize());
      }
      check(cache, running);

      Samples java = new Samples();
      start = System.nanoTime();
      long stepStart = start;
      for (int i = 0; i < steps; i++) {
        decode(step, running, next);
        long stepEnd = System.nanoTime();
        java.add((stepEnd - stepStart - step.nanoseconds()) / 1e3);
        stepStart = stepEnd;
      }
      double decodeSeconds = (stepStart - start) / 1e9;
      return new Measured(
          new Rates(prompt.length / promptSeconds, running.length * steps / decodeSeconds),
          java.median());
    } finally {
      for (Sequence sequence : running) {
        if (sequence != null) {
          sequence.close();
        }
      }
    }
  }

  private static void decode(Step step, Sequence[] running, int[] next) {
    step.clear();
    for (int i = 0; i < running.length; i++) {
      step.sample(step.add(running[i], next[i]), Sampling.greedy());
    }
    step.run();
    for (int i = 0; i < running.length; i++) {
      next[i] = step.sampledToken(i);
    }
  }

  /** A fork shares its blocks; back from the swap space it has blocks of its own. */
  private static Sequence copy(Sequence sequence) {
    Sequence copy = sequence.fork();
    copy.swapOut();
    copy.swapIn();
    return copy;
  }

  private static void check(KvCache cache, Sequence[] running) {
    long shared = cache.statistics().shared();
    for (Sequence sequence : running) {
      shared += sequence.info().sharedBlocks();
    }
    if (shared != 0) {
      throw new IllegalStateException("sequences that were copied share blocks");
    }
  }

  @Override
  public void close() {
    model.close();
    device.close();
  }
}
