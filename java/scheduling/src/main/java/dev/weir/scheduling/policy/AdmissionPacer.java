package dev.weir.scheduling.policy;

/**
 * A token bucket for admissions: so many an iteration, and after a lull a small burst.
 *
 * <p>In the fluid equilibrium of a full pool {@code C / W} requests enter in each iteration ({@code
 * scheduling.md} section 2: {@code mu} requests a second are {@code mu dT = C / W} an iteration).
 * Without a pace, a pool that is free after a start or a lull is filled by one cohort, which grows
 * in step and peaks together. The pace counts iterations and not seconds, because requests grow by
 * iterations: so it holds whatever an iteration takes.
 */
final class AdmissionPacer {
  private double burst;
  private double perIteration = Double.POSITIVE_INFINITY;
  private double tokens;

  /**
   * @param burst admissions that may be saved up, at least 1
   */
  AdmissionPacer(double burst) {
    this.burst = burst;
    this.tokens = burst;
  }

  /**
   * @param perIteration admissions an iteration, greater than 0; infinite to let everybody in
   */
  void setPace(double perIteration) {
    this.perIteration = perIteration;
  }

  /**
   * @param burst admissions that may be saved up, at least 1
   */
  void setBurst(double burst) {
    this.burst = burst;
  }

  double pace() {
    return perIteration;
  }

  /** An iteration begins. */
  void tick() {
    tokens = Math.min(tokens + perIteration, Math.max(burst, perIteration));
  }

  /** Whether {@code count} requests may enter. */
  boolean allows(double count) {
    return tokens >= count;
  }

  /** A request entered; also one that did not have to ask. */
  void admitted() {
    tokens = Math.max(0, tokens - 1);
  }
}
