package dev.weir.cli.report;

import java.util.List;

/**
 * One workload under one or several schedulers, ready to be shown.
 *
 * @param title one line
 * @param lead one paragraph
 * @param facts what describes the runs: model, device, workload, seed, parameters
 * @param runs a run for each scheduler, at least one
 * @param stories generated texts to show, possibly none
 * @param storiesNote one sentence about them
 */
public record Report(
    String title,
    String lead,
    List<Fact> facts,
    List<ReportedRun> runs,
    List<Story> stories,
    String storiesNote) {
  /** Copies the lists. */
  public Report {
    facts = List.copyOf(facts);
    runs = List.copyOf(runs);
    stories = List.copyOf(stories);
    if (runs.isEmpty()) {
      throw new IllegalArgumentException("a report needs at least one run");
    }
  }
}
