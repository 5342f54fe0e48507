package dev.weir.simulation.experiment;

import dev.weir.scheduling.fluid.NestedWaitThresholds;
import java.util.random.RandomGenerator;

/**
 * The entrance of a segment of Nested WAIT on its own (section 4 of scheduling.md): in each
 * iteration {@code Bin(released, continuation)} requests come, and {@code next} leave once that
 * many wait.
 *
 * @param released {@code n_k}, requests that reach the boundary in an iteration
 * @param continuation {@code q_k}, probability that one of them goes on
 * @param next {@code n_(k+1)}, requests that leave together
 */
record EntranceWalk(int released, double continuation, int next) {

  /**
   * {@code Q}, the queue after release that is exceeded with a probability of at most {@code
   * delta}.
   *
   * @param horizon {@code B}, iterations
   */
  double bound(int horizon, double delta) {
    double exponent = NestedWaitThresholds.lundbergExponent(released, continuation, next);
    return NestedWaitThresholds.queueBound(next, exponent, 1, horizon, delta);
  }

  /** The longest queue after release, as the bound has it: {@code next} plus a Lindley walk. */
  int peakOfWalk(int horizon, RandomGenerator random) {
    int walk = 0;
    int peak = 0;
    for (int i = 0; i < horizon; i++) {
      walk = Math.max(0, walk + arriving(random) - next);
      peak = Math.max(peak, walk);
    }
    return next + peak;
  }

  /** The longest queue after release, of the entrance itself. */
  int peakOfQueue(int horizon, RandomGenerator random) {
    int queue = 0;
    int peak = 0;
    for (int i = 0; i < horizon; i++) {
      queue += arriving(random);
      if (queue >= next) {
        queue -= next;
      }
      peak = Math.max(peak, queue);
    }
    return peak;
  }

  /** For reports. */
  String text() {
    return "Entrance with n = " + released + ", q = " + continuation + ", n' = " + next;
  }

  private int arriving(RandomGenerator random) {
    int arriving = 0;
    for (int i = 0; i < released; i++) {
      if (random.nextDouble() < continuation) {
        arriving++;
      }
    }
    return arriving;
  }
}
