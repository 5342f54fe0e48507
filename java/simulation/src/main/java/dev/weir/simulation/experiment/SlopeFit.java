package dev.weir.simulation.experiment;

import org.apache.commons.math3.stat.regression.SimpleRegression;

/**
 * A power law {@code y = factor * x^slope}, fitted by least squares to the logarithms.
 *
 * @param slope exponent, with its confidence interval
 * @param factor value at {@code x = 1}
 * @param rSquared share of the variance of {@code ln y} that the fit explains
 */
record SlopeFit(Estimate slope, double factor, double rSquared) {

  /**
   * Fits points.
   *
   * @param x greater than 0
   * @param y greater than 0, as many, at least 3
   */
  static SlopeFit logarithmic(double[] x, double[] y) {
    SimpleRegression regression = new SimpleRegression();
    for (int i = 0; i < x.length; i++) {
      regression.addData(Math.log(x[i]), Math.log(y[i]));
    }
    double halfWidth = regression.getSlopeConfidenceInterval(1 - Estimate.CONFIDENCE);
    return new SlopeFit(
        new Estimate(regression.getSlope(), halfWidth, regression.getN()),
        Math.exp(regression.getIntercept()),
        regression.getRSquare());
  }

  double at(double x) {
    return factor * Math.pow(x, slope.mean());
  }
}
