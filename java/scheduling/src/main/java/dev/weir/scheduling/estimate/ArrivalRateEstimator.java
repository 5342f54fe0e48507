package dev.weir.scheduling.estimate;

/**
 * The rate of arrivals, estimated from the gaps between them: an exponentially weighted mean, that
 * starts anew when the gaps show that the rate has changed.
 *
 * <p>The change is found by Page's cumulative sums (1954), one for a rate {@value #RATIO} times
 * higher, one for a rate as much lower: each sums the log-likelihood ratio of the gaps under the
 * two exponential distributions, and never falls below 0. When one of them passes {@value
 * #EVIDENCE}, the estimate becomes the rate of the gaps since that sum was last 0.
 *
 * <p>Nothing is allocated after construction. Not thread-safe.
 */
public final class ArrivalRateEstimator {
  /** The change that it looks for. */
  static final double RATIO = 1.5;

  /** Log-likelihood ratio: a false alarm about every {@code e^8} arrivals. */
  static final double EVIDENCE = 8;

  private static final double LN_RATIO = Math.log(RATIO);

  private final double memory;
  private double gaps;
  private double count;
  private double last = Double.NaN;

  private double faster;
  private double fasterSeconds;
  private long fasterCount;
  private double slower;
  private double slowerSeconds;
  private long slowerCount;
  private long changes;

  /**
   * @param memory arrivals that count, at least 1
   */
  public ArrivalRateEstimator(double memory) {
    if (!(memory >= 1)) {
      throw new IllegalArgumentException("memory is " + memory + ", must be at least 1");
    }
    this.memory = memory;
  }

  /**
   * Takes a declared rate for what was seen before the start.
   *
   * @param rate requests a second, greater than 0
   * @param weight arrivals that it counts as
   */
  public void expect(double rate, double weight) {
    gaps += weight / rate;
    count += weight;
  }

  /**
   * A request arrived.
   *
   * @param now seconds, not less than at the call before
   */
  public void arrived(double now) {
    if (!Double.isNaN(last)) {
      gap(now - last);
    }
    last = now;
  }

  private void gap(double seconds) {
    if (count > 0 && gaps > 0) {
      detect(seconds * count / gaps, seconds);
    }
    double kept = Math.min(1, (memory - 1) / memory);
    gaps = gaps * kept + seconds;
    count = count * kept + 1;
  }

  /** {@code scaled} is the gap in units of the mean gap. */
  private void detect(double scaled, double seconds) {
    faster += LN_RATIO - (RATIO - 1) * scaled;
    fasterSeconds += seconds;
    fasterCount++;
    if (faster <= 0) {
      faster = 0;
      fasterSeconds = 0;
      fasterCount = 0;
    }
    slower += -LN_RATIO + (1 - 1 / RATIO) * scaled;
    slowerSeconds += seconds;
    slowerCount++;
    if (slower <= 0) {
      slower = 0;
      slowerSeconds = 0;
      slowerCount = 0;
    }
    if (faster > EVIDENCE) {
      restart(fasterSeconds - seconds, fasterCount - 1);
    } else if (slower > EVIDENCE) {
      restart(slowerSeconds - seconds, slowerCount - 1);
    }
  }

  /** The gap that raised the alarm is counted by the caller. */
  private void restart(double seconds, long arrivals) {
    gaps = seconds;
    count = arrivals;
    changes++;
    faster = 0;
    fasterSeconds = 0;
    fasterCount = 0;
    slower = 0;
    slowerSeconds = 0;
    slowerCount = 0;
  }

  /**
   * Requests a second; NaN before two have arrived, unless a rate was declared; infinite if all
   * came at once.
   */
  public double rate() {
    return count > 0 ? count / gaps : Double.NaN;
  }

  /**
   * Requests a second as seen from {@code now}: when nothing has arrived for longer than is usual,
   * the gap that is still open counts too.
   */
  public double rate(double now) {
    if (!(count > 0) || Double.isNaN(last)) {
      return rate();
    }
    double open = now - last;
    return open * count > gaps ? (count + 1) / (gaps + open) : rate();
  }

  /** How often the rate was found to have changed. */
  public long changes() {
    return changes;
  }
}
