package dev.weir.cli.report;

import dev.weir.simulation.metrics.Metrics;
import java.util.List;

/**
 * One workload under one or several schedulers, ready to be shown.
 *
 * @param title one line
 * @param lead one paragraph
 * @param facts what describes the runs: model, device, workload, seed, parameters
 * @param charts a run for each scheduler, at least one
 * @param metrics their figures
 * @param stability where the load is in the stable region; may be null
 * @param stories generated texts to show, possibly none
 * @param storiesNote one sentence about them
 */
public record Report(
    String title,
    String lead,
    List<Fact> facts,
    List<RunChart> charts,
    List<Metrics> metrics,
    StabilityChart stability,
    List<Story> stories,
    String storiesNote) {
  /** Copies the lists. */
  public Report {
    facts = List.copyOf(facts);
    charts = List.copyOf(charts);
    metrics = List.copyOf(metrics);
    stories = List.copyOf(stories);
    if (charts.isEmpty() || charts.size() != metrics.size()) {
      throw new IllegalArgumentException(
          "a report needs at least one run, and figures for each; it has "
              + charts.size()
              + " and "
              + metrics.size());
    }
  }

  /** Runs of the live engine. */
  public static Report of(
      String title,
      String lead,
      List<Fact> facts,
      List<ReportedRun> runs,
      List<Story> stories,
      String storiesNote) {
    return new Report(
        title,
        lead,
        facts,
        runs.stream().map(RunCharts::of).toList(),
        runs.stream().map(ReportedRun::metrics).toList(),
        null,
        stories,
        storiesNote);
  }
}
