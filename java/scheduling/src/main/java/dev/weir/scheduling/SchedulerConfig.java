package dev.weir.scheduling;

import java.util.Objects;
import java.util.Optional;

/**
 * What a {@link SchedulerFactory} gets to work with.
 *
 * @param memory the KV pool
 * @param limits the size of an iteration
 * @param preemption how {@link IterationPlan#evict} evicts
 * @param cost the linearised time of an iteration
 * @param workload what is known of arrivals and lengths; empty if nothing is
 * @param options settings of the policy itself
 */
public record SchedulerConfig(
    KvCapacity memory,
    BatchLimits limits,
    Preemption preemption,
    IterationCost cost,
    Optional<Workload> workload,
    SchedulerOptions options) {
  public SchedulerConfig {
    Objects.requireNonNull(memory, "memory");
    Objects.requireNonNull(limits, "limits");
    Objects.requireNonNull(preemption, "preemption");
    Objects.requireNonNull(cost, "cost");
    Objects.requireNonNull(workload, "workload");
    Objects.requireNonNull(options, "options");
  }
}
