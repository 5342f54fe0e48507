package dev.weir.simulation.experiment;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Workload;
import dev.weir.simulation.IterationTime;
import dev.weir.simulation.SimulationOptions;
import dev.weir.simulation.SimulationSemantics;
import dev.weir.simulation.capacity.StableRegion;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A device with a memory, and the lengths that it serves.
 *
 * @param lengths lengths of the requests; every client declares the longest output, as nobody knows
 *     how long an answer will be
 * @param memory the KV pool
 * @param limits size of an iteration
 * @param time how long an iteration takes
 */
public record ServingSetup(
    RequestLengths lengths, KvCapacity memory, BatchLimits limits, IterationTime time) {

  /**
   * What the fluid model says: {@code mu}, what limits it, and the line that schedulers plan with.
   */
  public StableRegion region() {
    return StableRegion.of(time, lengths.moments(), memory, limits);
  }

  /** Whether memory runs out before the limits of an iteration are reached. */
  public boolean memoryBound() {
    return region().bound() == StableRegion.Bound.KV_MEMORY;
  }

  /**
   * A simulation of a policy.
   *
   * @param arrivalRate requests a second, for policies that know the distribution
   */
  public SimulationOptions simulation(Policy policy, double arrivalRate) {
    Optional<Workload> workload =
        policy.knowledge() == Policy.Knowledge.DISTRIBUTION
            ? Optional.of(lengths.workload(arrivalRate))
            : Optional.empty();
    return new SimulationOptions(
        policy.scheduler(),
        new SchedulerConfig(
            memory,
            limits,
            Preemption.RECOMPUTE,
            region().cost(),
            workload,
            SchedulerOptions.of(policy.options())),
        time,
        SimulationSemantics.WEIR,
        OptionalInt.of(lengths.maxOutputTokens()));
  }
}
