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
 * Measures the batches of a design, each several times in each of several rounds. What disturbs the
 * machine for a while hits a batch in one round only, and its median does not follow.
 *
 * @param rounds how often all batches are gone through
 * @param warmUps runs of each batch in a round that are not counted
 * @param repetitions runs of each batch in a round that are counted
 * @param patience nanoseconds of counted runs of a batch after which a round goes on to the next; a
 *     batch with a longer run is warmed up in the first round only
 */
public record Profiler(int rounds, int warmUps, int repetitions, long patience) {
  /** The JVM compiles, clocks rise, threads wake up. */
  private static final long START_NANOS = 1_000_000_000;

  private static final int START_RUNS = 2_000;
  private static final double NANOS = 1e9;

  /**
   * What was measured.
   *
   * @param samples one for each batch, in the order in which they were measured
   * @param drift how much longer a batch took in the last round, relative to the first; the median
   *     over all batches
   */
  public record Result(List<BatchSample> samples, double drift) {}

  /** Checks the numbers. */
  public Profiler {
    if (rounds < 1 || warmUps < 0 || repetitions < 1 || patience < 0) {
      throw new IllegalArgumentException(
          "rounds is "
              + rounds
              + ", warmUps is "
              + warmUps
              + ", repetitions is "
              + repetitions
              + " and patience is "
              + patience
              + ", must be at least 1, 0, 1 and 0");
    }
  }

  /**
   * Measures. In each round long contexts come first, so that sequences are cut and seldom copied.
   *
   * @param progress is told of each batch that is done, in each round
   */
  public Result measure(
      BatchDesign design, BatchRunner runner, Consumer<List<BatchGroup>> progress) {
    List<List<BatchGroup>> batches = new ArrayList<>(design.fitted());
    batches.addAll(design.heldOut());
    batches.sort(
        Comparator.<List<BatchGroup>>comparingInt(Profiler::longest)
            .thenComparingLong(Profiler::requests)
            .reversed());
    warmUp(batches.getFirst(), runner);
    List<List<Double>> first = null;
    List<List<Double>> last = null;
    List<List<Double>> all = batches.stream().<List<Double>>map(_ -> new ArrayList<>()).toList();
    for (int round = 0; round < rounds; round++) {
      last = new ArrayList<>();
      for (int i = 0; i < batches.size(); i++) {
        List<Double> times = times(batches.get(i), all.get(i), runner);
        last.add(times);
        all.get(i).addAll(times);
        progress.accept(batches.get(i));
      }
      first = first == null ? last : first;
    }
    Set<List<BatchGroup>> heldOut = new HashSet<>(design.heldOut());
    List<BatchSample> samples = new ArrayList<>(batches.size());
    double[] drifts = new double[batches.size()];
    for (int i = 0; i < drifts.length; i++) {
      List<BatchGroup> batch = batches.get(i);
      samples.add(new BatchSample(batch, heldOut.contains(batch), all.get(i)));
      drifts[i] =
          new BatchSample(batch, false, last.get(i)).median()
                  / new BatchSample(batch, false, first.get(i)).median()
              - 1;
    }
    Arrays.sort(drifts);
    return new Result(samples, drifts[drifts.length / 2]);
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

  private List<Double> times(List<BatchGroup> batch, List<Double> before, BatchRunner runner) {
    runner.prepare(batch);
    boolean slow = before.stream().anyMatch(seconds -> seconds * NANOS > patience);
    long spent = 0;
    for (int run = 0; run < warmUps && !slow && spent <= patience; run++) {
      spent += runner.run();
    }
    spent = 0;
    List<Double> seconds = new ArrayList<>();
    while (seconds.isEmpty() || (seconds.size() < repetitions && spent <= patience)) {
      long nanos = Math.max(1, runner.run());
      spent += nanos;
      seconds.add(nanos / NANOS);
    }
    return seconds;
  }
}
