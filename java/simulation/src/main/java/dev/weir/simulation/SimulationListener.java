package dev.weir.simulation;

import dev.weir.scheduling.HoldReason;

/** Is told what happens in a simulation, in the order in which it happens. */
public interface SimulationListener {
  /** A request arrived and went to the scheduler. */
  default void arrived(SimulatedRequest request) {}

  /**
   * A request was refused, because it can never fit.
   *
   * @param index position in the workload, from 0
   * @param reason names the value and the limit
   */
  default void refused(long index, Arrival arrival, String reason) {}

  /**
   * The scheduler made a plan. What {@link #evicted}, {@link #held} and {@link #predicted} tell
   * next belongs to it.
   *
   * @param time seconds of the workload's clock
   */
  default void planned(double time) {}

  /** The plan took the KV blocks of a request. */
  default void evicted(SimulatedRequest request) {}

  /** The plan brought a request back from the swap space. */
  default void resumed(SimulatedRequest request) {}

  /**
   * The plan of an iteration left a waiting request out. A scheduler names the request that would
   * have been next; those behind it wait for the same reason.
   */
  default void held(SimulatedRequest request, HoldReason reason) {}

  /**
   * The scheduler admitted a request and predicted what {@link
   * dev.weir.scheduling.IterationPlan#predictOverflow} says.
   */
  default void predicted(SimulatedRequest request, double overflowProbability) {}

  /**
   * The iteration computes a part of the prompt of a request, or of prompt and output again after
   * an eviction.
   *
   * @param tokens how many
   */
  default void prefilling(SimulatedRequest request, int tokens) {}

  /**
   * An iteration ended. The requests that it completed are still in memory.
   *
   * @param iteration its figures; the object is used again for the next iteration
   */
  default void iterated(SimulatedIteration iteration) {}

  /**
   * A request got a token.
   *
   * @param gap seconds since its token before; since its arrival for the first one
   */
  default void generated(SimulatedRequest request, double gap) {}

  /** A request got its last token. Follows {@link #iterated}. */
  default void completed(SimulatedRequest request) {}
}
