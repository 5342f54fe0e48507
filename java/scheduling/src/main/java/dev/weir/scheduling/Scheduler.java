package dev.weir.scheduling;

import java.util.function.ObjDoubleConsumer;

/**
 * Decides, iteration by iteration, which requests enter, which advance and which leave the KV
 * cache.
 *
 * <p>A scheduler knows no thread, no device and no wall clock: it sees arrivals, departures, memory
 * and a time value, and fills an {@link IterationPlan}. The same class therefore runs in the live
 * engine, in simulation and in replay, and gives the same decisions for the same calls. It must not
 * use any other source of time or randomness.
 *
 * <p>The driver (engine or simulator) makes these calls, all from one thread, with a {@code now}
 * that never decreases:
 *
 * <ol>
 *   <li>{@link #arrived} once for each request, before the first plan that may contain it;
 *   <li>{@link #plan} once an iteration. The scheduler evicts, resumes and schedules through the
 *       plan, which changes {@link Request#state()} at once and accounts for the memory;
 *   <li>the driver runs the planned batch and calls {@link IterationPlan#commit}, which advances
 *       {@link Request#cachedTokens()} and {@link Request#generatedTokens()};
 *   <li>{@link #departed} once for each request that ended, whatever the reason, before the next
 *       {@link #plan}. The driver has freed its blocks by then. A request may also depart while it
 *       waits or is swapped out (cancelled).
 * </ol>
 *
 * <p>No more than {@link BatchLimits#maxSequences} requests are resident or swapped at any time.
 *
 * <p>Every request that has arrived and not departed is the scheduler's responsibility: it may make
 * one wait, but never forget it. An empty plan tells the driver to sleep until the next arrival or
 * departure, or until {@link IterationPlan#wakeAt}.
 *
 * <p>Times are in seconds from an arbitrary origin. Implementations are not thread-safe and need
 * not be.
 */
public interface Scheduler {

  /**
   * A new request, in state {@link RequestState#WAITING} with nothing cached.
   *
   * @throws IllegalArgumentException if its prompt and longest output do not fit into the empty
   *     pool ({@link KvCapacity#requireFits}); the driver refuses such requests before
   */
  void arrived(Request request, double now);

  /**
   * Fills the next iteration.
   *
   * @param plan empty, with the memory that is free now; {@link IterationPlan#now()} is the time
   */
  void plan(IterationPlan plan);

  /**
   * The request ended (see {@link Request#state()}: always {@link RequestState#FINISHED}) and holds
   * no memory.
   */
  void departed(Request request, double now);

  /**
   * Reports the policy's own figures (queue lengths, thresholds, estimates) by metric name, such as
   * {@code segment_occupancy{segment="1"}}, for dashboards and reports. Cheap; called between
   * iterations.
   */
  default void gauges(ObjDoubleConsumer<String> sink) {}
}
