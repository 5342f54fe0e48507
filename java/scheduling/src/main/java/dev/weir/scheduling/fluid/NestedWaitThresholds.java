package dev.weir.scheduling.fluid;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Workload;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.OptionalDouble;
import java.util.function.DoubleFunction;
import java.util.function.DoublePredicate;
import java.util.stream.IntStream;

/**
 * Segment boundaries, thresholds and safety buffer of Nested WAIT (arXiv 2504.11320; {@code
 * scheduling.md} section 4). Immutable.
 *
 * <p>The stages {@code 1..b_m} of a request (output tokens so far) are cut at {@code 0 = b_0 < b_1
 * < ... < b_m}; segment {@code k} covers {@code (b_{k-1}, b_k]}. A request that has not ended at a
 * boundary has shown itself to be longer, and moves on: its length is discovered, not predicted.
 * Segments are numbered from 1, as in the paper.
 *
 * <p>The thresholds {@code n_k} are requests per stage, {@code n_1 = lambda T} and {@code n_{k+1} =
 * min(n_k, slack q_k n_k)}, real numbers because {@code lambda T} is less than one for long
 * outputs. {@code T} is the largest for which
 *
 * <p>{@code M(n) + sum_k Q_k (E[p] + b_k) + beta <= C},
 *
 * <p>but {@code n_1} is at most the number of sequences in an iteration.
 *
 * <p>Thresholds are admissible if {@code dT(n) < n_1 / lambda = T}, which is where the arrival rate
 * and the iteration's cost come in. As {@code dT(n)} is {@code d0} plus something proportional to
 * {@code T}, that holds for all {@code T} above a least one or for none, so the largest {@code T}
 * is admissible if any is, and has the widest margin; the theory permits all of {@code [dT*, C /
 * (lambda W)]}, and what a small {@code T} is good for, low latency, the work-conserving policy has
 * anyway. Among {@linkplain Settings#slack() slacks} the choice is between those that make for
 * admissible thresholds. If none does, the load is more than the thresholds carry: {@link
 * #isStable()} is false, {@link #sustainableRate()} says what they carry, and {@code T} stays the
 * largest.
 */
public final class NestedWaitThresholds {
  private static final int BISECTIONS = 200;
  private static final int NEWTON_STEPS = 200;
  private static final double USUAL_SLACK = 1.5;
  private static final double[] SLACKS = {1.1, 1.2, 1.35, 1.5, 1.75, 2, 2.5, 3, 4, 6, 10};

  /**
   * What can be chosen.
   *
   * @param segments {@code m}, at least 1, if {@code boundaries} is empty. Few are better: each one
   *     more adds slack and a place where residents wait
   * @param boundaries {@code b_1, b_2, ...} in tokens, increasing; empty to choose by {@code rule}.
   *     The longest output is appended if it is longer than the last one
   * @param slack {@code n_{k+1} / (q_k n_k)}, greater than 1; empty to choose. Little slack makes
   *     for large thresholds and a large buffer; the choice, admissible thresholds first, is that
   *     with the largest {@code n_1 M(n)^2}, which weighs the caps against the memory that is put
   *     to use
   * @param horizon {@code B}, iterations over which the overflow probability is bounded, at least 1
   * @param overflowProbability {@code delta}, in (0, 0.5)
   * @param rule how boundaries are chosen, for each slack anew
   */
  public record Settings(
      int segments,
      List<Integer> boundaries,
      OptionalDouble slack,
      int horizon,
      double overflowProbability,
      BoundarySelection.Rule rule) {
    public Settings {
      Objects.requireNonNull(rule, "rule");
      boundaries = List.copyOf(boundaries);
      if (segments < 1) {
        throw new IllegalArgumentException("segments is " + segments + ", must be at least 1");
      }
      for (int i = 0; i < boundaries.size(); i++) {
        int previous = i == 0 ? 0 : boundaries.get(i - 1);
        if (boundaries.get(i) <= previous) {
          throw new IllegalArgumentException(
              "boundaries is " + boundaries + ", must increase from at least 1");
        }
      }
      if (slack.isPresent()
          && !(slack.getAsDouble() > 1 && slack.getAsDouble() < Double.POSITIVE_INFINITY)) {
        throw new IllegalArgumentException(
            "slack is " + slack.getAsDouble() + ", must be finite and greater than 1");
      }
      if (horizon < 1) {
        throw new IllegalArgumentException(
            "horizon is " + horizon + ", must be at least 1 iteration");
      }
      if (!(overflowProbability > 0 && overflowProbability < 0.5)) {
        throw new IllegalArgumentException(
            "overflowProbability is " + overflowProbability + ", must be in (0, 0.5)");
      }
    }

    /** With boundaries, if they are to be chosen, by {@link BoundarySelection.Rule#HALVING}. */
    public Settings(
        int segments,
        List<Integer> boundaries,
        OptionalDouble slack,
        int horizon,
        double overflowProbability) {
      this(
          segments,
          boundaries,
          slack,
          horizon,
          overflowProbability,
          BoundarySelection.Rule.HALVING);
    }

    /** Three segments at halving quantiles, slack chosen, 10,000 iterations, 5 %. */
    public static Settings defaults() {
      return new Settings(3, List.of(), OptionalDouble.empty(), 10_000, 0.05);
    }
  }

  private final int[] boundaries;
  private final double[] survivorRates;
  private final double[] thresholds;
  private final double[] exponents;
  private final double[] queueBounds;
  private final double slack;
  private final double coreTokens;
  private final double bufferTokens;
  private final double admissionsPerIteration;
  private final double expectedRunning;
  private final double cycleSeconds;
  private final double iterationSeconds;

  /**
   * @throws IllegalArgumentException if the pool is too small even for the smallest thresholds that
   *     let one request run; the message names the values and what to change
   */
  public static NestedWaitThresholds compute(
      Workload workload,
      IterationCost cost,
      KvCapacity memory,
      BatchLimits limits,
      Settings settings) {
    return compute(workload, cost, memory, limits, settings, false);
  }

  /**
   * Whole numbers, at least 1, for the strict policy, which counts requests and waits for them:
   * {@code n_{k+1}} is {@code slack q_k n_k} rounded up, but at most {@code n_k}. {@code n_1} is
   * the geometric mean of the least that is admissible and the largest that fits, so that there is
   * slack and requests do not wait longer than it takes; the largest if none is admissible.
   *
   * @throws IllegalArgumentException if the pool is too small for one request per stage
   */
  public static NestedWaitThresholds computeWhole(
      Workload workload,
      IterationCost cost,
      KvCapacity memory,
      BatchLimits limits,
      Settings settings) {
    return compute(workload, cost, memory, limits, settings, true);
  }

  /**
   * Any thresholds, one for each segment.
   *
   * @param settings boundaries that are to be chosen are chosen for its slack, or for 1.5 if it has
   *     none
   * @throws IllegalArgumentException if they are not as many as there are segments, not positive,
   *     if {@code n_{k+1} <= q_k n_k} for some segment, or if {@code M(n) > C}
   */
  public static NestedWaitThresholds of(
      Workload workload,
      IterationCost cost,
      KvCapacity memory,
      BatchLimits limits,
      Settings settings,
      double... thresholds) {
    int[] boundaries =
        boundaries(workload, cost, memory, limits, settings, settings.slack().orElse(USUAL_SLACK));
    String values = "thresholds is " + Arrays.toString(thresholds);
    if (thresholds.length != boundaries.length) {
      throw new IllegalArgumentException(
          values
              + ", must have one value for each of the "
              + boundaries.length
              + " segments that end at "
              + Arrays.toString(boundaries));
    }
    double slack = Double.POSITIVE_INFINITY;
    for (int k = 0; k < thresholds.length; k++) {
      if (!(thresholds[k] > 0) || Double.isInfinite(thresholds[k])) {
        throw new IllegalArgumentException(values + ", each must be finite and greater than 0");
      }
      if (k > 0) {
        double q =
            continuation(
                workload.outputTokens(), k == 1 ? 0 : boundaries[k - 2], boundaries[k - 1]);
        double coming = q * thresholds[k - 1];
        if (thresholds[k] <= coming) {
          throw new IllegalArgumentException(
              ("%s: n_%d must be greater than q n_%d = %.4g, the requests that go on to segment %d"
                      + " in an iteration; raise it")
                  .formatted(values, k + 1, k, coming, k + 1));
        }
        slack = Math.min(slack, thresholds[k] / coming);
      }
    }
    NestedWaitThresholds result =
        new NestedWaitThresholds(
            workload, cost, memory, settings, boundaries, slack, thresholds.clone());
    if (result.coreTokens > memory.tokens()) {
      throw new IllegalArgumentException(
          "%s need %.0f KV tokens, the pool has %d; enlarge the pool or lower thresholds"
              .formatted(values, result.coreTokens, memory.tokens()));
    }
    return result;
  }

  private static NestedWaitThresholds compute(
      Workload workload,
      IterationCost cost,
      KvCapacity memory,
      BatchLimits limits,
      Settings settings,
      boolean whole) {
    double[] slacks =
        settings.slack().isPresent() ? new double[] {settings.slack().getAsDouble()} : SLACKS;
    NestedWaitThresholds best = null;
    int[] boundaries = null;
    for (double slack : slacks) {
      boundaries = boundaries(workload, cost, memory, limits, settings, slack);
      NestedWaitThresholds candidate =
          largest(workload, cost, memory, limits, settings, boundaries, slack, whole);
      if (candidate != null && (best == null || candidate.isBetterThan(best))) {
        best = candidate;
      }
    }
    if (best == null) {
      double slack = slacks[slacks.length - 1];
      LengthHistogram output = workload.outputTokens();
      double first = smallestThreshold(output, boundaries, slack, whole);
      NestedWaitThresholds smallest =
          new NestedWaitThresholds(
              workload,
              cost,
              memory,
              settings,
              boundaries,
              slack,
              thresholds(output, boundaries, slack, first, whole));
      throw new IllegalArgumentException(
          ("nested-wait needs %.0f KV tokens to run one request %s (thresholds %.0f, safety"
                  + " buffer %.0f with boundaries=%s slack=%s horizon=%d delta=%s), the pool has %d;"
                  + " enlarge the pool, raise delta or slack, lower horizon or segments")
              .formatted(
                  smallest.coreTokens + smallest.bufferTokens,
                  whole ? "per stage, as mode=strict does" : "at a time",
                  smallest.coreTokens,
                  smallest.bufferTokens,
                  Arrays.toString(boundaries),
                  slack,
                  settings.horizon(),
                  settings.overflowProbability(),
                  memory.tokens()));
    }
    return best;
  }

  /**
   * The thresholds with the largest feasible {@code n_1} for this slack, or null if there is none.
   */
  private static NestedWaitThresholds largest(
      Workload workload,
      IterationCost cost,
      KvCapacity memory,
      BatchLimits limits,
      Settings settings,
      int[] boundaries,
      double slack,
      boolean whole) {
    LengthHistogram output = workload.outputTokens();
    DoubleFunction<NestedWaitThresholds> of =
        first ->
            new NestedWaitThresholds(
                workload,
                cost,
                memory,
                settings,
                boundaries,
                slack,
                thresholds(output, boundaries, slack, first, whole));
    DoublePredicate fits =
        first -> {
          NestedWaitThresholds t = of.apply(first);
          return t.coreTokens + t.bufferTokens <= memory.tokens();
        };
    double low = smallestThreshold(output, boundaries, slack, whole);
    double high = Math.max(low, limits.maxSequences());
    if (!fits.test(low)) {
      return null;
    }
    if (!fits.test(high)) {
      for (int i = 0; i < BISECTIONS && high - low > 1e-9 * high; i++) {
        double middle = (low + high) / 2;
        if (fits.test(middle)) {
          low = middle;
        } else {
          high = middle;
        }
      }
      high = low;
    }
    return of.apply(whole ? withSlack(of, Math.floor(high)) : high);
  }

  /** The geometric mean of the least whole {@code n_1} that is admissible and {@code most}. */
  private static double withSlack(DoubleFunction<NestedWaitThresholds> of, double most) {
    if (!of.apply(most).isStable()) {
      return most;
    }
    double least = most;
    double less = 0;
    while (least - less > 1) {
      double middle = Math.floor((least + less) / 2);
      if (of.apply(middle).isStable()) {
        least = middle;
      } else {
        less = middle;
      }
    }
    return Math.ceil(Math.sqrt(least * most));
  }

  private NestedWaitThresholds(
      Workload workload,
      IterationCost cost,
      KvCapacity memory,
      Settings settings,
      int[] boundaries,
      double slack,
      double[] thresholds) {
    LengthHistogram output = workload.outputTokens();
    double prompt = workload.promptTokens().mean();
    int m = boundaries.length;
    this.boundaries = boundaries;
    this.slack = slack;
    survivorRates = new double[m];
    this.thresholds = thresholds;
    exponents = new double[m - 1];
    queueBounds = new double[m - 1];
    double core = 0;
    double queued = 0;
    double queuedTokens = 0;
    double capacity = 0;
    for (int k = 0; k < m; k++) {
      survivorRates[k] = workload.arrivalRate() * output.survival(start(k));
      core += thresholds[k] * tokensOfStages(prompt, start(k), boundaries[k]);
      capacity += thresholds[k] * (boundaries[k] - start(k));
      if (k + 1 < m) {
        exponents[k] =
            lundbergExponent(
                thresholds[k], continuation(output, start(k), boundaries[k]), thresholds[k + 1]);
        queueBounds[k] =
            queueBound(
                thresholds[k + 1],
                exponents[k],
                m - 1,
                settings.horizon(),
                settings.overflowProbability());
        queued += queueBounds[k];
        queuedTokens += queueBounds[k] * (prompt + boundaries[k]);
      }
    }
    double residents = capacity + queued;
    double variation =
        StandardNormal.quantile(1 - settings.overflowProbability())
                * workload.promptTokens().standardDeviation()
                * Math.sqrt(residents)
            + residents * (memory.blockSize() - 1) / 2.0;
    coreTokens = core;
    bufferTokens = queuedTokens + variation;
    admissionsPerIteration = core / FluidModel.work(workload);
    expectedRunning = admissionsPerIteration * output.mean();
    cycleSeconds = thresholds[0] / workload.arrivalRate();
    iterationSeconds = cost.seconds(core);
  }

  private boolean isBetterThan(NestedWaitThresholds other) {
    return isStable() == other.isStable() ? merit() > other.merit() : isStable();
  }

  /** {@code n_1 M(n)^2}; see {@link Settings#slack()}. */
  private double merit() {
    return thresholds[0] * coreTokens * coreTokens;
  }

  /** {@code n_1} at which the caps of all segments add up to one request; 1 if it is whole. */
  private static double smallestThreshold(
      LengthHistogram output, int[] boundaries, double slack, boolean whole) {
    if (whole) {
      return 1;
    }
    double[] unit = thresholds(output, boundaries, slack, 1, false);
    double capacity = 0;
    for (int k = 0; k < unit.length; k++) {
      capacity += unit[k] * (boundaries[k] - (k == 0 ? 0 : boundaries[k - 1]));
    }
    return 1 / capacity;
  }

  private static double[] thresholds(
      LengthHistogram output, int[] boundaries, double slack, double first, boolean whole) {
    double[] thresholds = new double[boundaries.length];
    thresholds[0] = whole ? Math.floor(first) : first;
    for (int k = 1; k < boundaries.length; k++) {
      double q = continuation(output, k == 1 ? 0 : boundaries[k - 2], boundaries[k - 1]);
      double next = slack * q * thresholds[k - 1];
      // More than n_k per stage cannot leave segment k, so a larger n_{k+1} would only tie up
      // memory.
      thresholds[k] = Math.min(thresholds[k - 1], whole ? Math.ceil(next) : next);
    }
    return thresholds;
  }

  /** {@code q = P(S > to) / P(S > from)}. */
  private static double continuation(LengthHistogram output, int from, int to) {
    return output.survival(to) / output.survival(from);
  }

  /** {@code sum of (p + s) for s in (from, to]}. */
  static double tokensOfStages(double prompt, int from, int to) {
    return (to - from) * (prompt + (from + to + 1) / 2.0);
  }

  private static int[] boundaries(
      Workload workload,
      IterationCost cost,
      KvCapacity memory,
      BatchLimits limits,
      Settings settings,
      double slack) {
    if (settings.boundaries().isEmpty()) {
      return BoundarySelection.boundaries(
          settings.rule(), workload, cost, memory, limits, settings, slack);
    }
    // A boundary that no request crosses would be the entrance of an empty segment.
    LengthHistogram output = workload.outputTokens();
    return IntStream.concat(
            settings.boundaries().stream()
                .mapToInt(Integer::intValue)
                .filter(b -> output.survival(b) > 0),
            IntStream.of(output.max()))
        .toArray();
  }

  /**
   * The exponent {@code theta > 0} of the walk with steps {@code Bin(n, q) - next}: {@code n ln(1 -
   * q + q e^theta) = theta next}. It exists exactly when {@code q n < next < n}.
   *
   * @param n requests that reach the boundary, a real number
   * @param q probability that one of them goes on
   * @param next requests released from the entrance
   * @return positive infinity if {@code next >= n}: the walk never rises
   * @throws IllegalArgumentException if {@code next <= q n}: the queue would grow without bound
   */
  public static double lundbergExponent(double n, double q, double next) {
    if (next >= n || q == 0) {
      return Double.POSITIVE_INFINITY;
    }
    if (!(next > q * n)) {
      throw new IllegalArgumentException(
          "next threshold is "
              + next
              + ", must be greater than q n = "
              + q * n
              + " (q="
              + q
              + ", n="
              + n
              + ")");
    }
    // Convex with a root at 0 and a negative slope there: exactly one more root, and from the right
    // of it Newton's method descends to it without ever passing it.
    double theta = 1;
    while (drift(n, q, next, theta) < 0) {
      theta *= 2;
    }
    for (int i = 0; i < NEWTON_STEPS; i++) {
      double slope = n * q / (q + (1 - q) * Math.exp(-theta)) - next;
      double step = drift(n, q, next, theta) / slope;
      if (!(step > 1e-14 * theta)) {
        break;
      }
      theta -= step;
    }
    return theta;
  }

  /** {@code n ln(1 - q + q e^theta) - theta next}, without overflow or cancellation. */
  private static double drift(double n, double q, double next, double theta) {
    double growth =
        theta < 1
            ? Math.log1p(q * Math.expm1(theta))
            : theta + Math.log(q + (1 - q) * Math.exp(-theta));
    return n * growth - theta * next;
  }

  /**
   * {@code Q = next + ln(entrances B / delta) / theta}: with probability at least {@code 1 - delta}
   * none of {@code entrances} queues is longer after release in {@code horizon} iterations
   * (exponential martingale and Doob's inequality).
   */
  public static double queueBound(
      double next, double theta, int entrances, int horizon, double overflowProbability) {
    return next + Math.log((double) entrances * horizon / overflowProbability) / theta;
  }

  private int start(int index) {
    return index == 0 ? 0 : boundaries[index - 1];
  }

  private int index(int segment) {
    if (segment < 1 || segment > boundaries.length) {
      throw new IndexOutOfBoundsException(
          "segment is " + segment + ", must be in 1.." + boundaries.length);
    }
    return segment - 1;
  }

  /** {@code m}. */
  public int segments() {
    return boundaries.length;
  }

  /** {@code b_k}, the last stage of a segment, in output tokens. */
  public int boundary(int segment) {
    return boundaries[index(segment)];
  }

  /** {@code Lambda_k = lambda P(S > b_{k-1})}, requests a second that reach the segment. */
  public double survivorRate(int segment) {
    return survivorRates[index(segment)];
  }

  /** {@code q_k = Lambda_{k+1} / Lambda_k}; 0 for the last segment. */
  public double continuation(int segment) {
    int k = index(segment);
    return k + 1 == boundaries.length ? 0 : survivorRates[k + 1] / survivorRates[k];
  }

  /** {@code n_k}, requests per stage. */
  public double threshold(int segment) {
    return thresholds[index(segment)];
  }

  /** {@code n_k (b_k - b_{k-1})}: requests that the segment may hold. */
  public double occupancyCap(int segment) {
    int k = index(segment);
    return thresholds[k] * (boundaries[k] - start(k));
  }

  /** {@code theta_k} of the entrance behind segment {@code k < m}. */
  public double exponent(int segment) {
    return exponents[index(segment)];
  }

  /** {@code Q_k}, requests: bounds the queue at the entrance behind segment {@code k < m}. */
  public double queueBound(int segment) {
    return queueBounds[index(segment)];
  }

  /** {@code n_{k+1} / (q_k n_k)} that was used. */
  public double slack() {
    return slack;
  }

  /** {@code M(n)}, tokens. */
  public double coreTokens() {
    return coreTokens;
  }

  /** The safety buffer {@code sum_k Q_k (E[p] + b_k) + beta}, tokens. */
  public double bufferTokens() {
    return bufferTokens;
  }

  /**
   * {@code M(n) / W}: requests that must enter in each iteration to fill the core memory in the
   * {@link FluidModel fluid equilibrium}. More than {@code n_1}, because {@code M(n)} counts nobody
   * as leaving inside a segment.
   */
  public double admissionsPerIteration() {
    return admissionsPerIteration;
  }

  /** Requests that run at once when that many enter: {@code E[S] M(n) / W}. */
  public double expectedRunning() {
    return expectedRunning;
  }

  /** {@code T = n_1 / lambda}, seconds. */
  public double cycleSeconds() {
    return cycleSeconds;
  }

  /** {@code dT(n) = d0 + d1 M(n)}, seconds. */
  public double iterationSeconds() {
    return iterationSeconds;
  }

  /**
   * Whether the thresholds are admissible, {@code dT(n) < T}: they keep up with the arrival rate.
   * As {@code M(n)} counts nobody as leaving inside a segment, this is a sufficient condition.
   */
  public boolean isStable() {
    return iterationSeconds < cycleSeconds;
  }

  /** {@code 1 - dT(n) / T}: positive if {@link #isStable() stable}, and only then. */
  public double stabilityMargin() {
    return 1 - iterationSeconds / cycleSeconds;
  }

  /** {@code n_1 / dT(n)}, requests a second: below it the thresholds are stable. */
  public double sustainableRate() {
    return thresholds[0] / iterationSeconds;
  }

  @Override
  public String toString() {
    StringBuilder text = new StringBuilder("NestedWaitThresholds[");
    for (int k = 0; k < boundaries.length; k++) {
      text.append("(%d..%d] n=%.4g; ".formatted(start(k), boundaries[k], thresholds[k]));
    }
    return text.append(
            "slack %.3g, core %.0f, buffer %.0f tokens]".formatted(slack, coreTokens, bufferTokens))
        .toString();
  }
}
