package dev.weir.benchmarks;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.simulation.ArrivalProcess;
import dev.weir.simulation.LengthDistribution;
import dev.weir.simulation.ProfileIterationTime;
import dev.weir.simulation.Simulation;
import dev.weir.simulation.SimulationListener;
import dev.weir.simulation.SimulationOptions;
import dev.weir.simulation.SimulationResult;
import dev.weir.simulation.SimulationSemantics;
import dev.weir.simulation.SyntheticArrivals;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SplittableRandom;
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
import org.openjdk.jmh.annotations.Warmup;

/**
 * Simulated iterations a second ({@code iterations}) and requests a second in an iteration ({@code
 * slots}) of a simulator in overload, with the profile of an A100 and Vidur's rules. {@code -prof
 * gc} shows what a whole simulation allocates; divide it by its iterations.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(1)
public class SimulationBenchmark {
  /** Events of the simulations, which JMH divides by the time. */
  @State(Scope.Thread)
  @AuxCounters(AuxCounters.Type.OPERATIONS)
  public static class Counters {
    public long iterations;
    public long slots;

    @Setup(Level.Iteration)
    public void clear() {
      iterations = 0;
      slots = 0;
    }
  }

  @Param({"vllm-v0", "sarathi"})
  String policy;

  /** Prompt and output tokens, requests a second. */
  @Param({"256/128/30", "60/200/60"})
  String load;

  private static final long REQUESTS = 2000;

  private SimulationOptions options;
  private int outputTokens;
  private LengthDistribution prompt;
  private LengthDistribution output;
  private ArrivalProcess arrivals;

  @Setup
  public void prepare() {
    String[] parts = load.split("/");
    prompt = new LengthDistribution.Fixed(Integer.parseInt(parts[0]));
    outputTokens = Integer.parseInt(parts[1]);
    output = new LengthDistribution.Fixed(outputTokens);
    arrivals = new ArrivalProcess.Poisson(Double.parseDouble(parts[2]));
    options =
        new SimulationOptions(
            policy,
            new SchedulerConfig(
                new KvCapacity(7424, 16, 0),
                new BatchLimits(128, Integer.MAX_VALUE),
                Preemption.RECOMPUTE,
                new IterationCost(0.01, 1e-7),
                Optional.empty(),
                SchedulerOptions.of(Map.of("semantics", "vidur"))),
            ProfileIterationTime.a100Llama2(),
            SimulationSemantics.VIDUR,
            OptionalInt.empty());
  }

  /** Two thousand requests, from the empty pool to the last. */
  @Benchmark
  public SimulationResult simulate(Counters counters) {
    SyntheticArrivals requests =
        new SyntheticArrivals(REQUESTS, arrivals, prompt, output, new SplittableRandom(1));
    SimulationResult result = Simulation.run(options, requests, new SimulationListener() {});
    counters.iterations += result.iterations();
    counters.slots += REQUESTS * outputTokens;
    return result;
  }
}
