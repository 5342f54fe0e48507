package dev.weir.simulation.experiment;

import java.util.Arrays;
import java.util.Collection;
import java.util.function.ToDoubleFunction;
import org.apache.commons.math3.distribution.TDistribution;
import org.apache.commons.math3.stat.descriptive.SummaryStatistics;

/**
 * The mean of independent observations, usually one for each seed, with the half width of its
 * confidence interval by Student's t distribution.
 *
 * @param mean arithmetic mean; NaN without observations
 * @param halfWidth of the {@value #CONFIDENCE} interval; NaN with fewer than two observations
 * @param count observations
 */
public record Estimate(double mean, double halfWidth, long count) {
  /** Level of the interval. */
  public static final double CONFIDENCE = 0.95;

  /** A figure without an interval. */
  public static Estimate exactly(double value) {
    return new Estimate(value, Double.NaN, 1);
  }

  /** Condenses observations. One that is NaN makes the mean NaN. */
  public static Estimate of(double... observations) {
    SummaryStatistics statistics = new SummaryStatistics();
    Arrays.stream(observations).forEach(statistics::addValue);
    long count = statistics.getN();
    double halfWidth = Double.NaN;
    if (count > 1) {
      double quantile =
          new TDistribution(count - 1.0).inverseCumulativeProbability((1 + CONFIDENCE) / 2);
      halfWidth = quantile * statistics.getStandardDeviation() / Math.sqrt(count);
    }
    return new Estimate(statistics.getMean(), halfWidth, count);
  }

  /** Condenses a figure of several runs. */
  public static <T> Estimate of(Collection<T> runs, ToDoubleFunction<T> figure) {
    return of(runs.stream().mapToDouble(figure).toArray());
  }

  /** Lower end of the interval; the mean if there is none. */
  public double low() {
    return Double.isNaN(halfWidth) ? mean : mean - halfWidth;
  }

  /** Upper end of the interval; the mean if there is none. */
  public double high() {
    return Double.isNaN(halfWidth) ? mean : mean + halfWidth;
  }
}
