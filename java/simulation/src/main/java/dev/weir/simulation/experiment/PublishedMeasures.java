package dev.weir.simulation.experiment;

import dev.weir.simulation.SimulatedIteration;
import dev.weir.simulation.SimulatedRequest;
import dev.weir.simulation.SimulationListener;
import java.util.Map;
import java.util.TreeMap;

/**
 * The measures of the simulations that arXiv 2504.11320 rests on: slots a second until the last
 * iteration, where a slot is one request in one iteration, whether or not it ever ends.
 */
final class PublishedMeasures implements SimulationListener {
  /** Output lengths are put together by so many. */
  static final int GROUP = 50;

  private final Map<Integer, Integer> arrivedByGroup = new TreeMap<>();
  private final Map<Integer, Integer> completedByGroup = new TreeMap<>();
  private long arrived;
  private long slots;
  private int largestBatch;
  private long peakBlocks;
  private long evictions;
  private double end;
  private long completed;
  private long completedTokens;
  private double endToEnd;

  @Override
  public void arrived(SimulatedRequest request) {
    arrived++;
    arrivedByGroup.merge(group(request), 1, Integer::sum);
  }

  @Override
  public void iterated(SimulatedIteration iteration) {
    slots += iteration.batch().requests();
    largestBatch = Math.max(largestBatch, iteration.batch().requests());
    peakBlocks = Math.max(peakBlocks, iteration.usedBlocks());
    evictions += iteration.evictions();
    end = iteration.end();
  }

  @Override
  public void completed(SimulatedRequest request) {
    completed++;
    completedByGroup.merge(group(request), 1, Integer::sum);
    completedTokens += request.arrival().outputTokens();
    endToEnd += request.completedAt() - request.arrival().seconds();
  }

  /** The longest output of the group of 50 lengths. */
  private static int group(SimulatedRequest request) {
    return (request.arrival().outputTokens() + GROUP - 1) / GROUP * GROUP;
  }

  /** Share of the requests that ended, by output length: 1..50, 51..100 and so on. */
  Map<Integer, Double> completedShares() {
    Map<Integer, Double> shares = new TreeMap<>();
    arrivedByGroup.forEach(
        (group, count) ->
            shares.put(group, completedByGroup.getOrDefault(group, 0) / (double) count));
    return shares;
  }

  double slotsPerSecond() {
    return slots / end;
  }

  /** Output tokens of requests that ended, over the time to the last iteration. */
  double completedTokensPerSecond() {
    return completedTokens / end;
  }

  double completedPerSecond() {
    return completed / end;
  }

  /** Share of the requests that never ended. */
  double droppedShare() {
    return 1 - completed / (double) arrived;
  }

  /** Seconds, of those that ended. */
  double meanEndToEnd() {
    return endToEnd / completed;
  }

  int largestBatch() {
    return largestBatch;
  }

  long peakBlocks() {
    return peakBlocks;
  }

  long evictions() {
    return evictions;
  }
}
