package dev.weir.simulation.experiment;

/**
 * How a series repeats itself: the lag at which it is most like itself, after the first lag at
 * which it is not.
 *
 * @param lag in samples; 0 if the series never stops being like itself
 * @param strength correlation at that lag, at most 1
 */
record Autocorrelation(int lag, double strength) {
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
    int best = 0;
    double most = Double.NEGATIVE_INFINITY;
    boolean crossed = false;
    for (int lag = 1; lag <= series.length / 3; lag++) {
      double sum = 0;
      for (int i = lag; i < series.length; i++) {
        sum += (series[i] - mean) * (series[i - lag] - mean);
      }
      double correlation =
          variance == 0 ? 1 : sum / variance * series.length / (series.length - lag);
      crossed |= correlation <= 0;
      if (crossed && correlation > most) {
        most = correlation;
        best = lag;
      }
    }
    return best == 0 ? new Autocorrelation(0, 0) : new Autocorrelation(best, Math.min(1, most));
  }
}
