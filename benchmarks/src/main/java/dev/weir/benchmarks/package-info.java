/**
 * JMH benchmarks of what runs in every iteration of the engine, from the native call up to the
 * scheduler's decision, and the profilers that look into them. {@link dev.weir.benchmarks.Main}
 * starts them; {@code benchmarks/README.md} walks through a profile.
 */
package dev.weir.benchmarks;
