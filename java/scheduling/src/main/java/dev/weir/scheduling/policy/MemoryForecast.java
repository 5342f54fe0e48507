package dev.weir.scheduling.policy;

import dev.weir.scheduling.estimate.SurvivalEstimator;
import java.util.Arrays;

/**
 * Mean and variance of the KV tokens that the residents hold after each of some numbers of
 * iterations, if nobody else is admitted ({@code scheduling.md} section 5).
 *
 * <p>A resident with prompt {@code p} that has generated {@code a} tokens is still there after
 * {@code h} more with probability {@code S(a + h) / S(a)}, and then holds {@code p + a + h} tokens,
 * and half a block more on average. Lengths are independent, so means and variances add up, and
 * with many residents the sum is close to normal.
 *
 * <p>Nothing is allocated after construction.
 */
final class MemoryForecast {
  /** Each horizon is a third further than the one before, so a peak is missed by little. */
  private static final double SPACING = 4 / 3.0;

  /** A horizon that fewer than this reach is left out. */
  private static final double NOBODY = 1e-4;

  private final int[] horizons;
  private final double[] mean;
  private final double[] variance;

  /** By interval of the estimator, then by horizon: the probability to live that long. */
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
    lives = new double[intervals * count];
    rounding = (blockSize - 1) / 2.0;
  }

  private static int after(int horizon) {
    return Math.max(horizon + 1, (int) Math.min(Integer.MAX_VALUE, horizon * SPACING));
  }

  /** Takes over the estimates that were last adopted. */
  void use(SurvivalEstimator survival) {
    int count = horizons.length;
    int reached = 0;
    for (int i = 0; i < survival.intervals(); i++) {
      for (int h = 0; h < count; h++) {
        double probability = survival.conditional(i, horizons[h]);
        lives[i * count + h] = probability;
        if (probability > NOBODY && h > reached) {
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
    int row = interval * horizons.length;
    for (int h = 0; h < end; h++) {
      // Its last token comes between two horizons: the one before counts for both.
      boolean ends = h == end - 1 && end < used;
      int ahead = ends ? left - 1 : horizons[h];
      accumulate(h, lives[row + h], tokensNow + ahead, sign);
    }
  }

  private void accumulate(int h, double alive, double tokens, double sign) {
    double expected = alive * tokens;
    mean[h] += sign * expected;
    variance[h] += sign * expected * (tokens - expected);
  }

  /**
   * By how many standard deviations the mean stays below the capacity, where they are fewest:
   * {@code min over h of (C - E[M(h)]) / sd[M(h)]}. Infinite if nothing can vary and all fits.
   */
  double margin(double capacityTokens) {
    double least = Double.POSITIVE_INFINITY;
    for (int h = 0; h < used; h++) {
      double room = capacityTokens - mean[h];
      // What rounding leaves of a variance that was taken out again is no variance.
      double deviation = Math.sqrt(Math.max(variance[h], 1e-6));
      least = Math.min(least, room / deviation);
    }
    return least;
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
