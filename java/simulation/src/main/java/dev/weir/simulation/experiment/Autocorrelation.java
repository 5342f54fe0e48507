package dev.weir.simulation.experiment;

/**
 * How a series repeats itself: the shortest lag at which it is about as much like itself as at any,
 * after the first lag at which it is not like itself. Multiples of a period are no other periods.
 *
 * @param lag in samples; 0 if there is none
 * @param strength correlation at that lag, at most 1
 */
record Autocorrelation(int lag, double strength) {
  private static final double AS_GOOD = 0.9;
  private static final Autocorrelation NONE = new Autocorrelation(0, 0);

  /** Of a series; lags go up to a third of its length. */
  static Autocorrelation of(double[] series) {
    double mean = 0;
    for (double value : series) {
      mean += value / series.length;
    }
    double variance = 0;
    for (double value : series) {
      variance += (value - mean) * (value - mean);
    }
    if (variance == 0) {
      return NONE;
    }
    int lags = series.length / 3;
    double[] correlations = new double[lags + 1];
    double most = 0;
    boolean crossed = false;
    for (int lag = 1; lag <= lags; lag++) {
      double sum = 0;
      for (int i = lag; i < series.length; i++) {
        sum += (series[i] - mean) * (series[i - lag] - mean);
      }
      double correlation = sum / variance * series.length / (series.length - lag);
      crossed |= correlation <= 0;
      correlations[lag] = crossed ? Math.min(1, correlation) : 0;
      most = Math.max(most, correlations[lag]);
    }
    for (int lag = 1; lag < lags; lag++) {
      boolean peak =
          correlations[lag] >= correlations[lag - 1] && correlations[lag] >= correlations[lag + 1];
      if (peak && correlations[lag] > 0 && correlations[lag] >= AS_GOOD * most) {
        return new Autocorrelation(lag, correlations[lag]);
      }
    }
    return NONE;
  }
}
