package dev.weir.scheduling;

import java.util.List;
import java.util.Objects;

/**
 * What is known about the load before it is served.
 *
 * <p>Histograms describe prompts and outputs each by itself, which is taken to mean that they are
 * independent. Where they are not, classes say which lengths come together; the histograms are then
 * those of the classes.
 *
 * @param arrivalRate {@code lambda}, requests a second, finite and greater than 0
 * @param promptTokens distribution of prompt lengths
 * @param outputTokens distribution of output lengths
 * @param classes the classes that make up the load; empty if only the histograms are known. Their
 *     rates add up to {@code arrivalRate} (but for one part in 10^9), and the histograms have their
 *     mean lengths (but for one part in 10^6)
 */
public record Workload(
    double arrivalRate,
    LengthHistogram promptTokens,
    LengthHistogram outputTokens,
    List<RequestClass> classes) {
  private static final double RATE_TOLERANCE = 1e-9;
  private static final double MEAN_TOLERANCE = 1e-6;

  public Workload {
    if (!(arrivalRate > 0) || Double.isInfinite(arrivalRate)) {
      throw new IllegalArgumentException(
          "arrivalRate is " + arrivalRate + ", must be finite and greater than 0");
    }
    Objects.requireNonNull(promptTokens, "promptTokens");
    Objects.requireNonNull(outputTokens, "outputTokens");
    classes = List.copyOf(classes);
    if (!classes.isEmpty()) {
      double rate = 0;
      double prompt = 0;
      double output = 0;
      for (RequestClass c : classes) {
        rate += c.arrivalRate();
        prompt += c.arrivalRate() * c.promptTokens();
        output += c.arrivalRate() * c.outputTokens();
      }
      requireClose("arrival rate", arrivalRate, rate, RATE_TOLERANCE);
      requireClose("mean prompt", promptTokens.mean(), prompt / rate, MEAN_TOLERANCE);
      requireClose("mean output", outputTokens.mean(), output / rate, MEAN_TOLERANCE);
    }
  }

  /** A load of which only the distributions of the lengths are known. */
  public Workload(double arrivalRate, LengthHistogram promptTokens, LengthHistogram outputTokens) {
    this(arrivalRate, promptTokens, outputTokens, List.of());
  }

  /**
   * A load that consists of these classes.
   *
   * @param classes at least one
   */
  public static Workload of(List<RequestClass> classes) {
    double[] rates = classes.stream().mapToDouble(RequestClass::arrivalRate).toArray();
    int[] prompts = classes.stream().mapToInt(RequestClass::promptTokens).toArray();
    int[] outputs = classes.stream().mapToInt(RequestClass::outputTokens).toArray();
    double rate = 0;
    for (double r : rates) {
      rate += r;
    }
    return new Workload(
        rate,
        LengthHistogram.weighted(prompts, rates),
        LengthHistogram.weighted(outputs, rates),
        classes);
  }

  private static void requireClose(String what, double declared, double sum, double tolerance) {
    if (!(Math.abs(declared - sum) <= tolerance * sum)) {
      throw new IllegalArgumentException(
          what + " is " + declared + ", but that of the classes is " + sum);
    }
  }
}
