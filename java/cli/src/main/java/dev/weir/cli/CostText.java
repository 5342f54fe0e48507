package dev.weir.cli;

import dev.weir.cli.bench.CostFit;
import dev.weir.scheduling.IterationCost;
import java.util.Locale;

/** The time of an iteration on one line, with where it comes from. */
final class CostText {
  private CostText() {}

  /**
   * @param fit the measurement behind it; null if the user gave it
   */
  static String of(IterationCost cost, CostFit fit) {
    String line =
        String.format(
            Locale.ROOT,
            "%.3g ms + %.3g us a token in the batch, ",
            cost.fixedSeconds() * 1e3,
            cost.secondsPerToken() * 1e6);
    return line
        + (fit == null
            ? "as given"
            : String.format(
                Locale.ROOT,
                "measured before: a line through the lower quartiles of %d sizes, over %d"
                    + " iterations (typically off by %.0f %%%s)",
                fit.sizes(),
                fit.samples(),
                fit.relativeResidual() * 100,
                fit.fixedPartAssumed() ? "; the fixed part was too small to be seen" : ""));
  }
}
