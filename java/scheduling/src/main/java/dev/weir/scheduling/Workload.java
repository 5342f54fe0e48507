package dev.weir.scheduling;

import java.util.Objects;

/**
 * What is known about the load before it is served.
 *
 * @param arrivalRate {@code lambda}, requests a second, finite and greater than 0
 * @param promptTokens distribution of prompt lengths
 * @param outputTokens distribution of output lengths
 */
public record Workload(
    double arrivalRate, LengthHistogram promptTokens, LengthHistogram outputTokens) {
  public Workload {
    if (!(arrivalRate > 0) || Double.isInfinite(arrivalRate)) {
      throw new IllegalArgumentException(
          "arrivalRate is " + arrivalRate + ", must be finite and greater than 0");
    }
    Objects.requireNonNull(promptTokens, "promptTokens");
    Objects.requireNonNull(outputTokens, "outputTokens");
  }
}
