package dev.weir.runtime.gpu;

import java.util.OptionalDouble;
import java.util.OptionalInt;

/**
 * The state of a GPU at one moment. What a GPU does not report, such as its utilisation when it is
 * partitioned, is empty.
 *
 * @param nanoTime {@link System#nanoTime()} of the reading
 * @param memoryTotal bytes
 * @param memoryUsed bytes, by all processes and the driver
 * @param utilization percent of the time, over the last sample period of the driver (a sixth of a
 *     second to a second), in which a kernel ran
 * @param memoryUtilization percent of that time in which memory was read or written
 * @param powerWatts what it draws
 * @param powerLimitWatts what it is allowed to draw
 * @param temperature of the chip, in degrees Celsius
 * @param clockMegahertz of the multiprocessors
 * @param memoryClockMegahertz of the memory
 */
public record GpuReading(
    long nanoTime,
    long memoryTotal,
    long memoryUsed,
    OptionalInt utilization,
    OptionalInt memoryUtilization,
    OptionalDouble powerWatts,
    OptionalDouble powerLimitWatts,
    OptionalInt temperature,
    OptionalInt clockMegahertz,
    OptionalInt memoryClockMegahertz) {}
