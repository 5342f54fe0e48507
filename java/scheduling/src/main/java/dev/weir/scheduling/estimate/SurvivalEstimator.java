package dev.weir.scheduling.estimate;

import dev.weir.scheduling.LengthHistogram;
import java.util.Arrays;

/**
 * The survival function {@code S(x) = P(length > x)} of output lengths, estimated while requests
 * run: Kaplan and Meier's product-limit estimator (1958) over intervals of lengths. A request that
 * is still running counts in every interval that it has passed, and in no other: it is
 * right-censored at the last boundary that it passed. Leaving running requests out would make long
 * outputs look rarer than they are, because they take longer to end.
 *
 * <p>Intervals are one token wide up to 32 tokens, and from there 6 % wider each, so that their
 * number grows with the logarithm of the longest output. Within an interval, those who end do so
 * evenly about the mean of the lengths at which they were seen to end, as widely as these were: so
 * a length at which many end, such as a limit, stays sharp.
 *
 * <p>Older observations fade: each departure weighs by a factor of {@code 1 - 1/memory} less than
 * the next one, so that a shift of the distribution is followed after about {@code memory}
 * departures.
 *
 * <p>Each interval begins with one phantom request. It survives until {@value #ENOUGH} requests
 * have ended or a distribution was {@linkplain #expect declared}: what nobody has seen is taken to
 * be as long as the {@linkplain #limit limit} lets it be. From then on it ends at the mean rate of
 * all intervals: a tail that nobody has seen is taken to be exponential.
 *
 * <p>{@link #survival} gives the function that was last {@linkplain #adopt adopted}, so that what
 * is computed from it need not chase noise: {@link #moved} says when it is worth while.
 *
 * <p>Nothing is allocated after construction. Not thread-safe.
 */
public final class SurvivalEstimator {
  private static final int NARROW = 32;
  private static final double GROWTH = 1.06;

  /** Phantom requests in every interval. */
  private static final double DOUBT = 1;

  /** Ended requests from which on an unseen tail is no more taken to be long. */
  public static final int ENOUGH = 200;

  private final int[] upper;
  private final double[] survived;
  private final double[] died;
  private final double[] diedTokens;
  private final double[] diedSquares;
  private final double[] adopted;

  /** Mean length at which requests end, by interval. */
  private final double[] ends;

  /** They end evenly so far about the mean. */
  private final double[] halfWidths;

  private final double growth;
  private double weight = 1;
  private double hazard;
  private long ended;
  private int limit;

  /**
   * @param longest the longest output that can occur, tokens, at least 1
   * @param memory departures that count, at least 1
   */
  public SurvivalEstimator(int longest, double memory) {
    if (longest < 1) {
      throw new IllegalArgumentException("longest is " + longest + ", must be at least 1");
    }
    if (!(memory >= 1)) {
      throw new IllegalArgumentException("memory is " + memory + ", must be at least 1");
    }
    upper = intervals(longest);
    survived = new double[upper.length];
    died = new double[upper.length];
    diedTokens = new double[upper.length];
    diedSquares = new double[upper.length];
    halfWidths = new double[upper.length];
    adopted = new double[upper.length];
    ends = new double[upper.length];
    growth = memory > 1 ? memory / (memory - 1) : Double.MAX_EXPONENT;
    Arrays.fill(adopted, 1);
    limit = longest;
  }

  private static int[] intervals(int longest) {
    int[] ends = new int[NARROW + (int) (Math.log((double) longest / NARROW + 1) / 0.05) + 16];
    int count = 0;
    for (int end = 1; ; end = end < NARROW ? end + 1 : (int) Math.ceil(end * GROWTH)) {
      ends[count++] = Math.min(end, longest);
      if (end >= longest) {
        return Arrays.copyOf(ends, count);
      }
    }
  }

  /**
   * Takes a declared distribution for what was seen before the start.
   *
   * @param weight requests that it counts as, greater than 0
   */
  public void expect(LengthHistogram lengths, double weight) {
    ended += ENOUGH;
    for (int i = 0; i < upper.length; i++) {
      double reached = i == 0 ? 1 : lengths.survival(upper[i - 1]);
      double passed = lengths.survival(upper[i]);
      survived[i] += weight * passed * this.weight;
      died[i] += weight * (reached - passed) * this.weight;
    }
    for (int i = 0; i < lengths.size(); i++) {
      int length = Math.min(lengths.length(i), upper[upper.length - 1]);
      double ending = weight * lengths.probability(i) * this.weight;
      diedTokens[intervalOf(length)] += ending * length;
      diedSquares[intervalOf(length)] += ending * length * length;
    }
  }

  /**
   * No output is longer than this.
   *
   * @param tokens at least 1; beyond the longest output that can occur it changes nothing
   */
  public void limit(int tokens) {
    limit = Math.min(tokens, upper[upper.length - 1]);
  }

  /** Number of intervals of lengths. */
  public int intervals() {
    return upper.length;
  }

  /** The last length of an interval, tokens; the interval after it begins there. */
  public int end(int interval) {
    return upper[interval];
  }

  /** The interval in which {@code tokens} lies, for {@code tokens >= 1}; the last one if beyond. */
  public int intervalOf(int tokens) {
    int index = Arrays.binarySearch(upper, tokens);
    return Math.min(index >= 0 ? index : -index - 1, upper.length - 1);
  }

  /** A request runs on beyond the {@link #end} of an interval. */
  public void survived(int interval) {
    survived[interval] += weight;
  }

  /** A request ended after {@code tokens} tokens, at least 1. */
  public void ended(int tokens) {
    ended++;
    int interval = intervalOf(tokens);
    died[interval] += weight;
    double length = Math.min(tokens, upper[interval]);
    diedTokens[interval] += weight * length;
    diedSquares[interval] += weight * length * length;
    weight *= growth;
    if (weight > 1e12) {
      rescale();
    }
  }

  private void rescale() {
    for (int i = 0; i < upper.length; i++) {
      survived[i] /= weight;
      died[i] /= weight;
      diedTokens[i] /= weight;
      diedSquares[i] /= weight;
    }
    weight = 1;
  }

  /**
   * By how much what was observed differs from what was adopted before, where it does most: a
   * probability.
   */
  public double moved() {
    measureHazard();
    double survival = 1;
    double moved = 0;
    for (int i = 0; i < upper.length; i++) {
      survival *= passing(i);
      moved = Math.max(moved, Math.abs(survival - adopted[i]));
    }
    return moved;
  }

  /** Adopts what was observed. */
  public void adopt() {
    measureHazard();
    double survival = 1;
    for (int i = 0; i < upper.length; i++) {
      survival *= passing(i);
      adopted[i] = survival;
      locate(i);
    }
  }

  private void measureHazard() {
    double deaths = 0;
    double exposure = 0;
    for (int i = 0; i < upper.length; i++) {
      deaths += died[i];
      exposure += width(i) * (survived[i] + died[i] / 2);
    }
    hazard = ended >= ENOUGH && exposure > 0 ? deaths / exposure : 0;
  }

  private double passing(int interval) {
    double doubt = DOUBT * weight;
    double expected = doubt * Math.exp(-hazard * width(interval));
    return (survived[interval] + expected) / (survived[interval] + died[interval] + doubt);
  }

  /** {@code P(length > tokens)}, as adopted; 0 from the limit on. */
  public double survival(int tokens) {
    if (tokens <= 0) {
      return 1;
    }
    return tokens >= limit ? 0 : within(tokens, intervalOf(tokens));
  }

  private double within(int tokens, int interval) {
    double before = before(interval);
    return before + (adopted[interval] - before) * shareEnded(tokens, interval);
  }

  private double before(int interval) {
    return interval == 0 ? 1 : adopted[interval - 1];
  }

  /**
   * Of those who end in the interval, the share that has not generated more than {@code tokens}.
   */
  private double shareEnded(int tokens, int interval) {
    double half = halfWidths[interval];
    return Math.clamp((tokens + 1 - ends[interval] + half) / (2 * half + 1), 0, 1);
  }

  /** Finds mean and width of the lengths at which requests end in an interval. */
  private void locate(int interval) {
    double first = start(interval) + 1;
    double last = upper[interval];
    double mean = (first + last) / 2;
    double half = (last - first) / 2;
    if (died[interval] > 0) {
      mean = Math.clamp(diedTokens[interval] / died[interval], first, last);
      double variance = Math.max(0, diedSquares[interval] / died[interval] - mean * mean);
      // An even distribution of n lengths has the variance (n^2 - 1) / 12.
      half = (Math.sqrt(12 * variance + 1) - 1) / 2;
      half = Math.min(half, Math.min(mean - first, last - mean));
    }
    ends[interval] = mean;
    halfWidths[interval] = half;
  }

  /**
   * {@code P(length > a + ahead) / P(length > a)} with {@code a} the beginning of each interval:
   * the probability that a request which has just entered it generates that many tokens more and
   * goes on. 1 where nobody is known to get to {@code a}.
   *
   * @param into gets the probability of interval {@code i} at {@code offset + i * stride}
   */
  public void conditional(int ahead, double[] into, int offset, int stride) {
    int reached = 0;
    double now = 1;
    for (int i = 0; i < upper.length; i++) {
      int tokens = (int) Math.min(limit, (long) start(i) + ahead);
      while (reached < upper.length - 1 && upper[reached] < tokens) {
        reached++;
      }
      double then = tokens >= limit ? 0 : within(tokens, reached);
      into[offset + i * stride] = now > 0 ? then / now : 1;
      now = upper[i] >= limit ? 0 : adopted[i];
    }
  }

  /** {@code E[length] = sum over x >= 0 of P(length > x)}, tokens. */
  public double mean() {
    double sum = 0;
    for (int i = 0; i < upper.length; i++) {
      sum += mean(i);
    }
    return sum;
  }

  /** The part of the {@link #mean} that is generated within an interval, tokens. */
  public double mean(int interval) {
    if (upper[interval] > limit) {
      return sumToLimit(interval, 0);
    }
    double before = before(interval);
    return width(interval) * before
        + (adopted[interval] - before) * (upper[interval] - ends[interval]);
  }

  /** {@code E[length^2] = sum over x >= 0 of (2x + 1) P(length > x)}, tokens squared. */
  public double secondMoment() {
    double sum = 0;
    for (int i = 0; i < upper.length; i++) {
      if (upper[i] > limit) {
        sum += sumToLimit(i, 2);
        continue;
      }
      double start = start(i);
      double end = upper[i];
      double spread = 2 * halfWidths[i] + 1;
      double endsSquared = ends[i] * ends[i] + (spread * spread - 1) / 12;
      double before = before(i);
      sum += before * (end * end - start * start);
      sum += (adopted[i] - before) * (end * end - endsSquared);
    }
    return sum;
  }

  /** The sum of {@code (slope x + 1) P(length > x)} over an interval that the limit cuts. */
  private double sumToLimit(int interval, int slope) {
    double sum = 0;
    for (int x = start(interval); x < limit; x++) {
      sum += (slope * (double) x + 1) * within(x, interval);
    }
    return sum;
  }

  private int start(int interval) {
    return interval == 0 ? 0 : upper[interval - 1];
  }

  private int width(int interval) {
    return upper[interval] - start(interval);
  }
}
