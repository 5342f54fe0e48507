/**
 * Decides what each iteration of a serving engine computes. A driver (engine or simulator) owns a
 * {@link dev.weir.scheduling.Scheduler}, tells it of arrivals and departures, and lets it fill an
 * {@link dev.weir.scheduling.IterationPlan}; {@link dev.weir.scheduling.Schedulers} finds the
 * policies by name. {@link dev.weir.scheduling.fluid.FluidModel}, {@link
 * dev.weir.scheduling.fluid.WaitThresholds} and {@link
 * dev.weir.scheduling.fluid.NestedWaitThresholds} are the theory behind them, usable alone for
 * planning capacity.
 *
 * <p>No I/O, no thread, no clock, no randomness.
 */
package dev.weir.scheduling;
