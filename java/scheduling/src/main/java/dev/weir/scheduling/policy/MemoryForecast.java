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
 * add up, and with many residents the sum is close to normal. A horizon stands for the iterations
 * up to the next one: who reaches it is counted with the tokens that it holds halfway to the next.
 *
 * <p>Those who are in the same interval of the {@link SurvivalEstimator} share their probabilities,
 * so the sums go over intervals, of which there are fewer than residents; only a request whose own
 * limit may cut it short goes into them by itself.
 *
 * <p>Nothing is allocated after construction.
 */
final class MemoryForecast {
  /** Each horizon is a twelfth further than the one before, so a peak is missed by little. */
  private static final double SPACING = 13 / 12.0;

  /** A horizon that fewer than this reach is left out. */
  private static final double NOBODY = 1e-4;

  /** What rounding leaves of a variance that was taken out again is no variance. */
  private static final double LEAST_VARIANCE = 1e-6;

  /** Deviations beyond which an overflow is not worth reckoning with. */
  private static final double FAR = 5;

  /** The last one only stands behind the last that is used. */
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

  /** By interval: how many, and the sums of the powers of the tokens that they hold now. */
  private final double[] members;

  private final double[] tokens;
  private final double[] squares;
  private final double[] cubes;

  private int longest;

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
    horizons = new int[count + 1];
    int horizon = 1;
    for (int i = 0; i <= count; i++) {
      horizons[i] = horizon;
      horizon = after(horizon);
    }
    this.longest = longest;
    members = new double[intervals];
    tokens = new double[intervals];
    squares = new double[intervals];
    cubes = new double[intervals];
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

  /**
   * Takes over the estimates that were last adopted.
   *
   * @param longest the limit of the estimator, tokens
   */
  void use(SurvivalEstimator survival, int longest) {
    this.longest = longest;
    int stride = horizons.length;
    int reached = 0;
    for (int h = 0; h < horizons.length - 1; h++) {
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
    Arrays.fill(members, 0);
    Arrays.fill(tokens, 0);
    Arrays.fill(squares, 0);
    Arrays.fill(cubes, 0);
    Arrays.fill(mean, 0);
    Arrays.fill(variance, 0);
    Arrays.fill(skew, 0);
    Arrays.fill(most, 0);
    Arrays.fill(covariance, 0);
  }

  /**
   * Adds a resident; it counts after {@link #sum}.
   *
   * @param interval of the estimator, in which {@code generated} lies
   * @param max the most tokens that it may generate
   */
  void add(int interval, int prompt, int generated, int max) {
    if (max < longest && mayReach(interval, max - generated)) {
      include(interval, prompt, generated, max);
      return;
    }
    double now = prompt + generated + rounding;
    members[interval]++;
    tokens[interval] += now;
    squares[interval] += now * now;
    cubes[interval] += now * now * now;
  }

  /** Whether anybody in the interval is expected to generate so many more if its limit lets it. */
  private boolean mayReach(int interval, int left) {
    int end = horizonsBefore(left);
    return end < used && lives[interval * horizons.length + end] > NOBODY;
  }

  /** How many of the horizons that are looked at are nearer than that. */
  private int horizonsBefore(int iterations) {
    int index = Arrays.binarySearch(horizons, 0, used, iterations);
    return index >= 0 ? index : -index - 1;
  }

  /** All residents have been added. */
  void sum() {
    for (int i = 0; i < members.length; i++) {
      if (members[i] > 0) {
        accumulate(i, used, members[i], tokens[i], squares[i], cubes[i]);
      }
    }
  }

  /** Adds one more after {@link #sum}. */
  void include(int interval, int prompt, int generated, int max) {
    double now = prompt + generated + rounding;
    int end = horizonsBefore(max - generated);
    accumulate(interval, end, 1, now, now * now, now * now * now);
  }

  /**
   * @param end horizons that can be reached
   * @param n how many
   * @param t1 sum of their tokens now; t2 and t3 of the squares and cubes
   */
  private void accumulate(int interval, int end, double n, double t1, double t2, double t3) {
    int row = interval * horizons.length;
    for (int h = 0; h < end; h++) {
      double ahead = horizons[h];
      double live = lives[row + h];
      double dead = 1 - live;
      double first = t1 + n * ahead;
      double second = t2 + ahead * (2 * t1 + n * ahead);
      double third = t3 + ahead * (3 * t2 + ahead * (3 * t1 + n * ahead));
      mean[h] += live * first;
      variance[h] += live * dead * second;
      skew[h] += live * dead * (1 - 2 * live) * third;
      most[h] += first;
      double next = horizons[h + 1];
      covariance[h] += lives[row + h + 1] * dead * (t2 + (ahead + next) * t1 + n * ahead * next);
    }
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
