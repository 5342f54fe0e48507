package dev.weir.scheduling.policy;

import dev.weir.scheduling.estimate.SurvivalEstimator;
import dev.weir.scheduling.fluid.StandardNormal;
import java.util.Arrays;

/**
 * Mean and variance of the KV tokens that the residents hold after each of some numbers of
 * iterations, if nobody else is admitted ({@code scheduling.md} section 5).
 *
 * <p>A resident with prompt {@code p} that has generated {@code a} tokens is still there after
 * {@code h} more with probability {@code S(a + h) / S(a)}, and then holds {@code p + a + h} tokens,
 * and half a block more on average. Lengths are independent, so means, variances and covariances
 * add up, and with many residents the sum is close to normal.
 *
 * <p>Nothing is allocated after construction.
 */
final class MemoryForecast {
  /** Each horizon is a seventh further than the one before, so a peak is missed by little. */
  private static final double SPACING = 8 / 7.0;

  /** A horizon that fewer than this reach is left out. */
  private static final double NOBODY = 1e-4;

  /** What rounding leaves of a variance that was taken out again is no variance. */
  private static final double LEAST_VARIANCE = 1e-6;

  /** Deviations beyond which an overflow is not worth reckoning with. */
  private static final double FAR = 5;

  private final int[] horizons;
  private final double[] mean;
  private final double[] variance;

  /** Third central moment. */
  private final double[] skew;

  /** What they hold if nobody ends. */
  private final double[] most;

  /** Between a horizon and the next. */
  private final double[] covariance;

  /** By interval of the estimator, then by horizon: the probability to live that long; then a 0. */
  private final double[] lives;

  private final double rounding;

  /** Number of horizons that are looked at. */
  private int used;

  /**
   * @param longest the longest output that can occur, tokens
   * @param intervals of the {@link SurvivalEstimator}
   */
  MemoryForecast(int longest, int intervals, int blockSize) {
    int count = 1;
    for (int h = 1; h < longest; h = after(h)) {
      count++;
    }
    horizons = new int[count];
    int horizon = 1;
    for (int i = 0; i < count; i++) {
      horizons[i] = horizon;
      horizon = after(horizon);
    }
    mean = new double[count];
    variance = new double[count];
    skew = new double[count];
    most = new double[count];
    covariance = new double[count];
    lives = new double[intervals * (count + 1)];
    rounding = (blockSize - 1) / 2.0;
  }

  private static int after(int horizon) {
    return Math.max(horizon + 1, (int) Math.min(Integer.MAX_VALUE, horizon * SPACING));
  }

  /** Takes over the estimates that were last adopted. */
  void use(SurvivalEstimator survival) {
    int stride = horizons.length + 1;
    int reached = 0;
    for (int h = 0; h < horizons.length; h++) {
      survival.conditional(horizons[h], lives, h, stride);
      for (int i = 0; i < survival.intervals() && reached < h; i++) {
        if (lives[i * stride + h] > NOBODY) {
          reached = h;
        }
      }
    }
    used = reached + 1;
  }

  /** Starts anew with no residents. */
  void clear() {
    Arrays.fill(mean, 0);
    Arrays.fill(variance, 0);
    Arrays.fill(skew, 0);
    Arrays.fill(most, 0);
    Arrays.fill(covariance, 0);
  }

  /**
   * Adds a resident.
   *
   * @param interval of the estimator, in which {@code generated} lies
   * @param left the most tokens that it may still generate
   */
  void add(int interval, int prompt, int generated, int left) {
    accumulate(interval, prompt + generated + rounding, left, 1);
  }

  /** Takes out again what {@link #add} put in. */
  void remove(int interval, int prompt, int generated, int left) {
    accumulate(interval, prompt + generated + rounding, left, -1);
  }

  private void accumulate(int interval, double tokensNow, int left, double sign) {
    int end = used;
    while (end > 0 && horizons[end - 1] >= left) {
      end--;
    }
    if (end == 0) {
      return;
    }
    int row = interval * (horizons.length + 1);
    int last = end - 1;
    for (int h = 0; h < last; h++) {
      double tokens = tokensNow + horizons[h];
      double live = lives[row + h];
      double expected = sign * live * tokens;
      double spread = expected * (1 - live) * tokens;
      mean[h] += expected;
      variance[h] += spread;
      skew[h] += spread * (1 - 2 * live) * tokens;
      most[h] += sign * tokens;
      covariance[h] +=
          sign * lives[row + h + 1] * (1 - live) * tokens * (tokensNow + horizons[h + 1]);
    }
    // Its last token comes between two horizons: the one before counts for both.
    double tokens = tokensNow + (end < used ? left - 1 : horizons[last]);
    double live = lives[row + last];
    double expected = sign * live * tokens;
    double spread = expected * (1 - live) * tokens;
    mean[last] += expected;
    variance[last] += spread;
    skew[last] += spread * (1 - 2 * live) * tokens;
    most[last] += sign * tokens;
  }

  private double deviation(int h) {
    return Math.sqrt(Math.max(variance[h], LEAST_VARIANCE));
  }

  /**
   * The probability that a horizon's need exceeds the pool: Edgeworth's expansion up to the third
   * moment, and 0 if it fits even if nobody ends. Shortly ahead few can end, and what they hold is
   * bounded above.
   *
   * @param barrier the capacity, in standard deviations above the mean
   */
  private double exceeds(int h, double barrier) {
    if (barrier > FAR || barrier >= (most[h] - mean[h]) / deviation(h)) {
      return 0;
    }
    double spread = Math.max(variance[h], LEAST_VARIANCE);
    double skewness = skew[h] / (spread * Math.sqrt(spread));
    double density = Math.exp(-barrier * barrier / 2) / Math.sqrt(2 * Math.PI);
    double correction = skewness / 6 * (barrier * barrier - 1) * density;
    return Math.clamp(StandardNormal.survival(barrier) + correction, 0, 1);
  }

  /**
   * Whether at every horizon up to the furthest the mean, and a margin above it, fit the pool.
   *
   * @param z the margin, in standard deviations
   * @param mostTokens the margin is at most this
   * @param furthest iterations ahead
   */
  boolean fits(double capacityTokens, double z, double mostTokens, int furthest) {
    for (int h = 0; h < used && horizons[h] <= furthest; h++) {
      if (mean[h] + Math.min(z * deviation(h), mostTokens) > capacityTokens) {
        return false;
      }
    }
    return true;
  }

  /**
   * The probability that the pool overflows at any of the horizons.
   *
   * <p>An overflow begins at a horizon if there is one there and none at the horizon before. With
   * {@code P} the probabilities of an overflow at either, which rise to {@code P'}, and {@code rho}
   * the correlation between them, that happens with a probability of about {@code (P' - P)+ +
   * min(P, P') (2 Phi(b sqrt((1 - rho) / (1 + rho))) - 1)}, where {@code b} is the barrier, in
   * standard deviations, of the less likely one: what is above the barrier at the second horizon
   * was below it at the first with the probability in the last bracket (Leadbetter, Lindgren,
   * Rootzen, "Extremes and Related Properties of Random Sequences and Processes", 1983, on
   * stationary normal sequences; for those that are not, an approximation).
   */
  double overflowProbability(double capacityTokens) {
    double never = 1;
    double before = 0;
    double barrierBefore = Double.POSITIVE_INFINITY;
    for (int h = 0; h < used; h++) {
      double barrier = (capacityTokens - mean[h]) / deviation(h);
      double now = exceeds(h, barrier);
      double begins = Math.max(0, now - before);
      double less = Math.min(now, before);
      if (less > 0) {
        double correlation =
            Math.clamp(covariance[h - 1] / (deviation(h - 1) * deviation(h)), 0, 1);
        double scale = Math.sqrt((1 - correlation) / (1 + correlation));
        double higher = Math.max(0, Math.max(barrier, barrierBefore));
        begins += less * (1 - 2 * StandardNormal.survival(higher * scale));
      }
      never *= 1 - Math.min(1, begins);
      before = now;
      barrierBefore = barrier;
    }
    return 1 - never;
  }

  /** The largest mean of all horizons, tokens. */
  double peak() {
    double peak = 0;
    for (int h = 0; h < used; h++) {
      peak = Math.max(peak, mean[h]);
    }
    return peak;
  }
}
