package dev.weir.simulation.metrics;

/**
 * Whether the number of requests in the system (waiting or running) grows while requests arrive.
 * The second half of the arrival window is cut into {@value #BATCHES} batches of equal length; an
 * ordinary least-squares line is laid through their means. Batch means, because single observations
 * of a queue depend on each other.
 *
 * @param mean requests in the system, on average over the second half
 * @param growth slope of the line, requests a second
 * @param standardError of the slope, requests a second
 * @param significant whether the slope is greater than 0 by a one-sided t-test at {@value
 *     #CONFIDENCE}, with {@value #BATCHES} - 2 degrees of freedom
 */
public record BacklogTrend(double mean, double growth, double standardError, boolean significant) {
  /** Batches in the second half of the window. */
  public static final int BATCHES = 20;

  /** Level of the t-test. */
  public static final double CONFIDENCE = 0.95;

  /** Growth that counts as none, as a share of the arrival rate. */
  public static final double TOLERANCE = 0.01;

  /**
   * Whether the system keeps up: the growth is not significant, or it is at most {@value
   * #TOLERANCE} of the arrivals. A queue below its limit wanders too, so that the t-test alone
   * would find growth where there is none; a policy called stable carries at least 99 % of the
   * rate.
   *
   * @param arrivalRate requests a second
   */
  public boolean stable(double arrivalRate) {
    return !significant || growth <= TOLERANCE * arrivalRate;
  }
}
