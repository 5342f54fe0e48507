package dev.weir.simulation;

import dev.weir.scheduling.SchedulerConfig;
import java.util.Objects;
import java.util.OptionalInt;

/**
 * What is simulated.
 *
 * @param scheduler name of the policy
 * @param config memory, limits and settings of the policy
 * @param time how long an iteration takes
 * @param semantics whose rules hold for evicted requests
 * @param declaredOutputTokens the longest output that every client declares; empty if each declares
 *     exactly what it will get. A request of the workload that is longer is refused
 */
public record SimulationOptions(
    String scheduler,
    SchedulerConfig config,
    IterationTime time,
    SimulationSemantics semantics,
    OptionalInt declaredOutputTokens) {
  /** Checks that everything is there. */
  public SimulationOptions {
    Objects.requireNonNull(scheduler, "scheduler");
    Objects.requireNonNull(config, "config");
    Objects.requireNonNull(time, "time");
    Objects.requireNonNull(semantics, "semantics");
    Objects.requireNonNull(declaredOutputTokens, "declaredOutputTokens");
  }
}
