package dev.weir.scheduling;

/**
 * The paper's iteration-time model {@code d0 + d1 * (resident tokens in the batch)} (arXiv
 * 2504.11320).
 *
 * @param fixedSeconds {@code d0}, seconds, finite and greater than 0
 * @param secondsPerToken {@code d1}, seconds a token, finite and at least 0
 */
public record IterationCost(double fixedSeconds, double secondsPerToken) {
  public IterationCost {
    if (!(fixedSeconds > 0) || Double.isInfinite(fixedSeconds)) {
      throw new IllegalArgumentException(
          "fixedSeconds is " + fixedSeconds + ", must be finite and greater than 0");
    }
    if (!(secondsPerToken >= 0) || Double.isInfinite(secondsPerToken)) {
      throw new IllegalArgumentException(
          "secondsPerToken is " + secondsPerToken + ", must be finite and at least 0");
    }
  }

  /** Seconds that an iteration over {@code tokens} resident tokens takes. */
  public double seconds(double tokens) {
    return fixedSeconds + secondsPerToken * tokens;
  }
}
