package dev.weir.scheduling.fluid;

/** The standard normal distribution, without allocation. */
public final class StandardNormal {
  /** Beyond it the tail is smaller than a double near 1 can tell. */
  private static final double FAR = 8.5;

  private static final int BISECTIONS = 100;

  private StandardNormal() {}

  /** {@code P(Z > x)}, to about 1e-15. */
  public static double survival(double x) {
    if (Double.isNaN(x)) {
      return Double.NaN;
    }
    if (Math.abs(x) >= FAR) {
      return x > 0 ? 0 : 1;
    }
    // P(0 < Z <= x) is phi(x) (x + x^3 / 3 + x^5 / (3 * 5) + ...).
    double term = x;
    double sum = x;
    for (int i = 3; Math.abs(term) > 1e-17 * Math.abs(sum); i += 2) {
      term *= x * x / i;
      sum += term;
    }
    double between = sum * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
    return Math.clamp(0.5 - between, 0, 1);
  }

  /**
   * {@code z} with {@code P(Z <= z) = probability}.
   *
   * @param probability in (0, 1)
   */
  public static double quantile(double probability) {
    if (!(probability > 0 && probability < 1)) {
      throw new IllegalArgumentException("probability is " + probability + ", must be in (0, 1)");
    }
    double low = -FAR;
    double high = FAR;
    for (int i = 0; i < BISECTIONS && high - low > 1e-12; i++) {
      double middle = (low + high) / 2;
      if (1 - survival(middle) < probability) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return high;
  }
}
