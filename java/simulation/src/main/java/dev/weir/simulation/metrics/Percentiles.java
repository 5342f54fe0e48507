package dev.weir.simulation.metrics;

import java.util.stream.LongStream;
import org.HdrHistogram.Histogram;

/**
 * A distribution of durations, condensed. All values in seconds, with three significant digits; NaN
 * if there are none.
 *
 * @param count number of durations
 * @param mean arithmetic mean
 * @param p50 median
 * @param p90 90th percentile
 * @param p99 99th percentile
 * @param max longest
 */
public record Percentiles(long count, double mean, double p50, double p90, double p99, double max) {
  private static final double NANOS = 1e9;

  /**
   * Condenses durations.
   *
   * @param nanoseconds at least 0 each
   */
  public static Percentiles of(LongStream nanoseconds) {
    Histogram histogram = new Histogram(3);
    nanoseconds.forEach(histogram::recordValue);
    return of(histogram);
  }

  /** Condenses durations in nanoseconds. */
  static Percentiles of(Histogram histogram) {
    if (histogram.getTotalCount() == 0) {
      return new Percentiles(0, Double.NaN, Double.NaN, Double.NaN, Double.NaN, Double.NaN);
    }
    return new Percentiles(
        histogram.getTotalCount(),
        histogram.getMean() / NANOS,
        histogram.getValueAtPercentile(50) / NANOS,
        histogram.getValueAtPercentile(90) / NANOS,
        histogram.getValueAtPercentile(99) / NANOS,
        histogram.getMaxValue() / NANOS);
  }
}
