package dev.weir.simulation.metrics;

/**
 * Whether the number of requests in the system (waiting or running) grows while requests arrive.
 * The second half of the arrival window is cut into {@value #BATCHES} batches of equal length; an
 * ordinary least-squares line is laid through their means. Batch means, because single observations
 * of a queue depend on each other.
 *
 * @param seconds length of the second half
 * @param mean requests in the system, on average over the second half
 * @param growth slope of the line, requests a second
 * @param standardError of the slope, requests a second
 * @param significant whether the slope is greater than 0 by a one-sided t-test at {@value
 *     #CONFIDENCE}, with {@value #BATCHES} - 2 degrees of freedom
 */
public record BacklogTrend(
    double seconds, double mean, double growth, double standardError, boolean significant) {
  /** Batches in the second half of the window. */
  public static final int BATCHES = 20;

  /** Level of the t-test. */
  public static final double CONFIDENCE = 0.95;

  /** Growth that counts as none, as a share of the arrivals. */
  public static final double TOLERANCE = 0.01;

  /** Growth that counts as none, in standard deviations of a Poisson number. */
  public static final double DEVIATIONS = 3;

  /**
   * Whether the system keeps up: the growth over the second half is not significant, or at most
   * {@value #TOLERANCE} of the requests that arrived in it, or at most {@value #DEVIATIONS} times
   * the square root of the mean backlog. For the t-test alone finds growth where there is none: a
   * queue below its limit wanders too, slowly compared with a batch, and the number in the system
   * varies at least as a Poisson number does.
   *
   * @param arrivalRate requests a second
   */
  public boolean stable(double arrivalRate) {
    double limit =
        Math.max(TOLERANCE * arrivalRate * seconds, DEVIATIONS * Math.sqrt(Math.max(0, mean)));
    return !significant || growth * seconds <= limit;
  }
}
