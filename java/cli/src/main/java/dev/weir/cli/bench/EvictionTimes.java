package dev.weir.cli.bench;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Finds out when a request lost its KV blocks. The engine tells how often a request was evicted,
 * and in which iterations somebody was; a request that runs gets a token in every iteration, so the
 * one that was evicted is without a token from such an iteration on.
 */
final class EvictionTimes {
  private EvictionTimes() {}

  /**
   * The starts of the {@code count} longest pauses that begin with an iteration that evicted
   * somebody; fewer, if a request was evicted twice between two tokens.
   *
   * @param count how often the request was evicted
   * @param firstScheduled when it first entered the KV cache
   * @param tokenTimes when its tokens came, ascending
   * @param iterations by time
   * @return nanoseconds since the start of the run, ascending
   */
  static long[] of(
      int count, long firstScheduled, long[] tokenTimes, List<IterationSample> iterations) {
    if (count == 0) {
      return new long[0];
    }
    List<long[]> pauses = new ArrayList<>();
    long from = firstScheduled;
    int next = 0;
    for (long token : tokenTimes) {
      while (next < iterations.size() && iterations.get(next).time() <= from) {
        next++;
      }
      for (int i = next; i < iterations.size() && iterations.get(i).time() < token; i++) {
        IterationSample iteration = iterations.get(i);
        if (iteration.evictions() > 0) {
          long start = Math.max(from, iteration.time() - iteration.duration());
          pauses.add(new long[] {start, token - start});
          break;
        }
      }
      from = token;
    }
    return pauses.stream()
        .sorted(Comparator.comparingLong(pause -> -pause[1]))
        .limit(count)
        .mapToLong(pause -> pause[0])
        .sorted()
        .toArray();
  }
}
