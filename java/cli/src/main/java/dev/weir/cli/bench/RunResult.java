package dev.weir.cli.bench;

import dev.weir.scheduling.HoldReason;
import java.util.List;
import java.util.Map;

/**
 * One workload served by one scheduler.
 *
 * @param scheduler name of the policy
 * @param schedulerOptions its settings as given, possibly empty
 * @param kvBlocks capacity of the pool in blocks
 * @param blockSize tokens a block
 * @param nanoseconds from the start to the end of the last request
 * @param window nanoseconds from the start to the time at which the last request was due; 0 if all
 *     came at once
 * @param outcomes one for each request, by index
 * @param iterations one for each iteration, by time
 * @param holds entries of the decision log by reason: a request that was not scheduled in an
 *     iteration is one entry
 * @param gauges the policy's own figures when it was last asked, by name
 */
public record RunResult(
    String scheduler,
    String schedulerOptions,
    long kvBlocks,
    int blockSize,
    long nanoseconds,
    long window,
    List<RequestOutcome> outcomes,
    List<IterationSample> iterations,
    Map<HoldReason, Long> holds,
    Map<String, Double> gauges) {
  /** Copies the collections. */
  public RunResult {
    outcomes = List.copyOf(outcomes);
    iterations = List.copyOf(iterations);
    holds = Map.copyOf(holds);
    gauges = Map.copyOf(gauges);
  }
}
