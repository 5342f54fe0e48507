package dev.weir.scheduling.policy;

import dev.weir.scheduling.estimate.SurvivalEstimator;
import java.util.Arrays;

/**
 * The segments of Nested WAIT and how many requests each may hold, from the survival function that
 * is estimated while serving.
 *
 * <p>Segment {@code k} begins where about half of those who entered the one before have ended. In
 * the fluid equilibrium of a full pool, with {@code C / W} requests entering in each iteration, it
 * holds {@code C / W} times the sum of {@code P(S > s)} over its stages; its cap is that times a
 * slack.
 *
 * <p>Nothing is allocated after construction.
 */
final class SegmentCaps {
  /**
   * A little more than half, so that an estimate of lengths with equal halves finds their middle.
   */
  private static final double HALF = 0.55;

  private final double slack;
  private final int[] boundaries;
  private final double[] caps;

  /**
   * @param segments at least 1
   * @param slack of a cap over the equilibrium, greater than 1
   */
  SegmentCaps(int segments, double slack) {
    this.slack = slack;
    boundaries = new int[segments];
    caps = new double[segments];
    Arrays.fill(boundaries, Integer.MAX_VALUE);
    Arrays.fill(caps, Double.POSITIVE_INFINITY);
  }

  int segments() {
    return caps.length;
  }

  /**
   * Takes over the estimates that were last adopted.
   *
   * @param admissionsPerIteration {@code C / W}
   */
  void use(SurvivalEstimator survival, double admissionsPerIteration) {
    Arrays.fill(boundaries, Integer.MAX_VALUE);
    Arrays.fill(caps, Double.POSITIVE_INFINITY);
    int segment = 0;
    double entering = 1;
    double stages = 0;
    for (int i = 0; i < survival.intervals(); i++) {
      stages += survival.mean(i);
      double leaving = survival.survival(survival.end(i));
      if (segment < caps.length - 1 && leaving <= HALF * entering && leaving > 0) {
        boundaries[segment] = survival.end(i);
        caps[segment++] = cap(admissionsPerIteration, stages);
        entering = leaving;
        stages = 0;
      }
    }
    caps[segment] = cap(admissionsPerIteration, stages);
  }

  private double cap(double admissionsPerIteration, double stages) {
    return Math.max(1, slack * admissionsPerIteration * stages);
  }

  /** The segment, from 0, of a request that has generated so many tokens. */
  int segmentOf(int generated) {
    int segment = 0;
    while (generated >= boundaries[segment]) {
      segment++;
    }
    return segment;
  }

  /** Requests that the segment may hold. */
  double cap(int segment) {
    return caps[segment];
  }
}
