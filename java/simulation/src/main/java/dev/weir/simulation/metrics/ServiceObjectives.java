package dev.weir.simulation.metrics;

/**
 * What a request must reach to count as goodput.
 *
 * @param timeToFirstToken longest TTFT in seconds, greater than 0
 * @param timePerOutputToken longest TPOT in seconds, greater than 0
 */
public record ServiceObjectives(double timeToFirstToken, double timePerOutputToken) {
  /** Checks the ranges. */
  public ServiceObjectives {
    requirePositive("timeToFirstToken", timeToFirstToken);
    requirePositive("timePerOutputToken", timePerOutputToken);
  }

  private static void requirePositive(String name, double seconds) {
    if (!(seconds > 0)) {
      throw new IllegalArgumentException(name + " is " + seconds + " s, must be greater than 0");
    }
  }

  /** Whether a request with these times meets both. */
  public boolean met(double firstTokenSeconds, double secondsPerToken) {
    return firstTokenSeconds <= timeToFirstToken && secondsPerToken <= timePerOutputToken;
  }
}
