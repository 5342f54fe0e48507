package dev.weir.cli;

import dev.weir.cli.bench.RunResult;
import dev.weir.cli.report.Fact;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/** Whether the load that a scheduler planned for is one that it can carry, in its own figures. */
final class StabilityText {
  private static final String STABLE = "stable";
  private static final String SUSTAINABLE_RATE = "sustainable_rate";

  private StabilityText() {}

  /**
   * One fact for each run whose scheduler computed thresholds.
   *
   * @param plannedRate requests a second
   */
  static List<Fact> of(Stream<RunResult> runs, double plannedRate) {
    return runs.filter(run -> run.gauges().containsKey(STABLE))
        .filter(run -> run.gauges().containsKey(SUSTAINABLE_RATE))
        .map(
            run ->
                new Fact(
                    run.scheduler() + " thresholds",
                    text(
                        run.gauges().get(STABLE) > 0,
                        run.gauges().get(SUSTAINABLE_RATE),
                        plannedRate)))
        .toList();
  }

  private static String text(boolean stable, double sustainable, double planned) {
    return String.format(
        Locale.ROOT,
        stable
            ? "keep up with %.4g requests/s; the planned %.4g are within that"
            : "keep up with %.4g requests/s for certain; the planned %.4g are more, so the queue may"
                + " grow while they arrive",
        sustainable,
        planned);
  }
}
