package dev.weir.cli.profile;

import dev.weir.simulation.BatchGroup;
import dev.weir.simulation.measured.BatchDesign;
import dev.weir.simulation.measured.BatchSample;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;

/**
 * Measures the batches of a design, each several times.
 *
 * @param warmUps runs of each batch that are not counted; one only of a batch that takes long
 * @param repetitions runs of each batch that are counted
 * @param patience nanoseconds of runs of a batch after which {@value #FEWEST} repetitions do
 */
public record Profiler(int warmUps, int repetitions, long patience) {
  /** Repetitions of the slowest batches. */
  public static final int FEWEST = 3;

  /** The JVM compiles, clocks rise, threads wake up. */
  private static final long START_NANOS = 1_000_000_000;

  private static final int START_RUNS = 2_000;

  /**
   * What was measured.
   *
   * @param samples one for each batch, in the order in which they were measured
   * @param drift how much longer the first batch took when all others were done, relative to before
   */
  public record Result(List<BatchSample> samples, double drift) {}

  /** Checks the numbers. */
  public Profiler {
    if (warmUps < 0 || repetitions < 1 || patience < 0) {
      throw new IllegalArgumentException(
          "warmUps is "
              + warmUps
              + ", repetitions is "
              + repetitions
              + " and patience is "
              + patience
              + ", must be at least 0, 1 and 0");
    }
  }

  /**
   * Measures. Long contexts come first, so that sequences are cut and seldom copied.
   *
   * @param progress is told of each batch that is done
   */
  public Result measure(BatchDesign design, BatchRunner runner, Consumer<BatchSample> progress) {
    List<List<BatchGroup>> batches = new ArrayList<>(design.fitted());
    batches.addAll(design.heldOut());
    batches.sort(
        Comparator.<List<BatchGroup>>comparingInt(Profiler::longest)
            .thenComparingLong(Profiler::requests)
            .reversed());
    Set<List<BatchGroup>> heldOut = new HashSet<>(design.heldOut());
    warmUp(batches.getFirst(), runner);
    List<BatchSample> samples = new ArrayList<>(batches.size());
    for (List<BatchGroup> batch : batches) {
      BatchSample sample = new BatchSample(batch, heldOut.contains(batch), times(batch, runner));
      samples.add(sample);
      progress.accept(sample);
    }
    BatchSample first = samples.getFirst();
    BatchSample again = new BatchSample(first.groups(), false, times(first.groups(), runner));
    return new Result(samples, again.median() / first.median() - 1);
  }

  private static int longest(List<BatchGroup> batch) {
    return batch.stream().mapToInt(BatchGroup::before).max().orElseThrow();
  }

  private static long requests(List<BatchGroup> batch) {
    return batch.stream().mapToLong(BatchGroup::requests).sum();
  }

  private static void warmUp(List<BatchGroup> batch, BatchRunner runner) {
    runner.prepare(batch);
    long spent = 0;
    for (int run = 0; run < START_RUNS && spent < START_NANOS; run++) {
      spent += runner.run();
    }
  }

  private List<Double> times(List<BatchGroup> batch, BatchRunner runner) {
    runner.prepare(batch);
    long spent = 0;
    for (int run = 0; run < warmUps && spent <= patience; run++) {
      spent += runner.run();
    }
    spent = 0;
    double[] seconds = new double[repetitions];
    int done = 0;
    while (done < repetitions && (done < FEWEST || spent <= patience)) {
      long nanos = Math.max(1, runner.run());
      spent += nanos;
      seconds[done++] = nanos * 1e-9;
    }
    return Arrays.stream(seconds, 0, done).boxed().toList();
  }
}
