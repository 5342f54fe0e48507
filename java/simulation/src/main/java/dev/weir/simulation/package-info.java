/**
 * Runs schedulers in virtual time. {@link dev.weir.simulation.Simulation} drives the very {@link
 * dev.weir.scheduling.Scheduler} that the live engine drives, over a stream of {@link
 * dev.weir.simulation.Arrival}s from a trace ({@link dev.weir.simulation.TraceReader}) or a
 * generator ({@link dev.weir.simulation.SyntheticArrivals}), and asks an {@link
 * dev.weir.simulation.IterationTime} how long each iteration takes. The same input gives the same
 * output to the byte; nothing here looks at a clock.
 */
package dev.weir.simulation;
