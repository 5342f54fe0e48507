package dev.weir.cli.plan;

import dev.weir.simulation.BatchShape;
import dev.weir.simulation.IterationTime;

/**
 * An estimate from a data sheet, for a device that nobody measured: an iteration reads all weights
 * and the keys and values of its batch at a share of the peak bandwidth, and spends two operations
 * a weight and token at the same share of the peak matrix rate; the weights are read while it
 * computes, so the longer of the two counts.
 *
 * @param weightBytes bytes of the weights
 * @param parameters number of weights
 * @param kvBytesPerToken bytes of keys and values of a token
 * @param bytesPerSecond peak bandwidth of the memory
 * @param flopsPerSecond peak rate of matrix products
 * @param efficiency share of both peaks that is reached, in (0, 1]
 */
public record RooflineIterationTime(
    long weightBytes,
    long parameters,
    long kvBytesPerToken,
    double bytesPerSecond,
    double flopsPerSecond,
    double efficiency)
    implements IterationTime {
  @Override
  public double seconds(BatchShape batch) {
    double reading = weightBytes / bytesPerSecond;
    double computing = 2.0 * parameters * batch.tokens() / flopsPerSecond;
    double cache = (double) kvBytesPerToken * batch.context() / bytesPerSecond;
    return (Math.max(reading, computing) + cache) / efficiency;
  }
}
