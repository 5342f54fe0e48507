package dev.weir.cli.report;

import java.util.List;

/**
 * The largest stable arrival rate over the mean output length, prompts as they are and outputs
 * scaled, with loads to place in it.
 *
 * @param outputTokens mean output lengths, ascending
 * @param sustainableRates {@code mu} at each of them, requests a second
 * @param loads the load that was asked for, and what was measured
 */
public record StabilityChart(
    List<Double> outputTokens, List<Double> sustainableRates, List<Load> loads) {
  /**
   * A load.
   *
   * @param label what it is
   * @param outputTokens mean output length
   * @param requestsPerSecond arrival rate
   * @param measured whether it was served, and not only asked for
   */
  public record Load(
      String label, double outputTokens, double requestsPerSecond, boolean measured) {}

  /** Copies the lists. */
  public StabilityChart {
    outputTokens = List.copyOf(outputTokens);
    sustainableRates = List.copyOf(sustainableRates);
    loads = List.copyOf(loads);
  }
}
