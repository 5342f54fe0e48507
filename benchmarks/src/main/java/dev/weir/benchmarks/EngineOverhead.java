package dev.weir.benchmarks;

import com.sun.management.ThreadMXBean;
import dev.weir.engine.Engine;
import dev.weir.engine.EngineListener;
import dev.weir.engine.EngineOptions;
import dev.weir.engine.Generation;
import dev.weir.engine.GenerationRequest;
import dev.weir.engine.IterationEvent;
import dev.weir.runtime.DeviceKind;
import dev.weir.runtime.Precision;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * The Java side of a decode step in the running engine: what an iteration takes beyond the native
 * step, that is the time between two events less the nanoseconds that the native layer reports for
 * the step between them. It holds the mailbox, the scheduler's decision, the batch, the call, the
 * delivery of a token to every request with its text, and the event. It is no JMH benchmark because
 * the engine's own thread is measured, not the one that calls.
 *
 * <p>Also the bytes that the engine's thread allocates in an iteration. Counted are iterations in
 * which every sequence decodes and none arrives or ends.
 *
 * <p>Arguments: sequences (64), scheduler (weir), precision (DEFAULT), readers (false: nobody reads
 * the tokens as they come; true: a virtual thread for each request does), device (CPU), model
 * folder (models/stories260K), without weights in it random ones are used. To be run from the root
 * of the tree.
 */
public final class EngineOverhead {
  private static final int WARM_UP_WAVES = 6;
  private static final int WAVES = 10;
  private static final int PROMPT = 8;
  private static final int OUTPUT = 500;

  private EngineOverhead() {}

  /** What iterations took; written by the engine's thread. */
  private static final class Meter implements EngineListener {
    private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private final int sequences;
    private final double[] javaMicros = new double[WAVES * OUTPUT];
    private final double[] nativeMicros = new double[WAVES * OUTPUT];
    private final long[] bytes = new long[WAVES * OUTPUT];
    private int count;
    private boolean lastSteady;
    private long lastNanos;
    private long lastBytes;
    private volatile boolean measuring;

    Meter(int sequences) {
      this.sequences = sequences;
    }

    @Override
    public void iteration(IterationEvent event) {
      long nanos = System.nanoTime();
      boolean steady =
          measuring
              && event.computedTokens() == sequences
              && event.generatedTokens() == sequences
              && event.finished() == 0;
      if (steady && lastSteady) {
        double step = event.stepSeconds() * 1e6;
        nativeMicros[count] = step;
        javaMicros[count] = (nanos - lastNanos) * 1e-3 - step;
        bytes[count] = threads.getCurrentThreadAllocatedBytes() - lastBytes;
        count++;
      }
      lastSteady = steady;
      lastBytes = threads.getCurrentThreadAllocatedBytes();
      // Not read again, so that the meter's own work counts.
      lastNanos = nanos;
    }
  }

  public static void main(String[] args) {
    int sequences = args.length > 0 ? Integer.parseInt(args[0]) : 64;
    String scheduler = args.length > 1 ? args[1] : "weir";
    Precision precision = args.length > 2 ? Precision.valueOf(args[2]) : Precision.DEFAULT;
    boolean readers = args.length > 3 && Boolean.parseBoolean(args[3]);
    DeviceKind device = args.length > 4 ? DeviceKind.valueOf(args[4]) : DeviceKind.CPU;
    Path model = Path.of(args.length > 5 ? args[5] : "models/stories260K");
    EngineOptions.Builder options =
        EngineOptions.builder(model).scheduler(scheduler).precision(precision).device(device);
    if (!Files.exists(model.resolve("model.safetensors"))
        && !Files.exists(model.resolve("model.safetensors.index.json"))) {
      options.randomWeights(0);
    }
    Meter meter = new Meter(sequences);
    try (Engine engine = Engine.start(options.build())) {
      engine.addListener(meter);
      for (int wave = 0; wave < WARM_UP_WAVES + WAVES; wave++) {
        meter.measuring = wave >= WARM_UP_WAVES;
        serve(engine, sequences, readers);
      }
      System.out.printf(
          Locale.ROOT,
          "%d sequences, %s, %s, readers: %s, %d iterations%n",
          sequences,
          scheduler,
          engine.device().precision(),
          readers,
          meter.count);
    }
    print("Java side, us", meter.javaMicros, meter.count);
    print("native step, us", meter.nativeMicros, meter.count);
    double[] bytes = Arrays.stream(meter.bytes).asDoubleStream().toArray();
    print("allocated, bytes", bytes, meter.count);
  }

  private static void serve(Engine engine, int sequences, boolean readers) {
    List<Generation> generations = new ArrayList<>();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < sequences; i++) {
      int[] prompt = new int[PROMPT];
      for (int t = 0; t < PROMPT; t++) {
        prompt[t] = t == 0 ? 1 : 3 + (31 * i + 7 * t) % 500;
      }
      GenerationRequest request =
          GenerationRequest.builder(prompt).maxTokens(OUTPUT).ignoreEos(true).build();
      Generation generation = engine.submit(request);
      generations.add(generation);
      if (readers) {
        threads.add(Thread.ofVirtual().start(() -> generation.forEach(token -> {})));
      }
    }
    generations.forEach(Generation::await);
    for (Thread thread : threads) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  private static void print(String name, double[] all, int count) {
    double[] values = Arrays.copyOf(all, count);
    Arrays.sort(values);
    System.out.printf(
        Locale.ROOT,
        "%-18s median %.1f, mean %.1f, 10 %% below %.1f, 10 %% above %.1f%n",
        name,
        values[count / 2],
        Arrays.stream(values).average().orElseThrow(),
        values[count / 10],
        values[count - 1 - count / 10]);
  }
}
