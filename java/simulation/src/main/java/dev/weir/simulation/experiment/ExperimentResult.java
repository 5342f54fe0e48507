package dev.weir.simulation.experiment;

import java.util.List;

/**
 * What an experiment found. Plain data: nothing here knows how it is shown.
 *
 * @param name of the experiment
 * @param title one line
 * @param question paragraphs: what was asked, and how
 * @param findings paragraphs: what was found, worked out from the figures
 * @param settings what is needed to run it again: seeds, workloads, parameters of the policies
 * @param tables figures
 * @param plots charts
 * @param goals what was to be reached
 */
public record ExperimentResult(
    String name,
    String title,
    List<String> question,
    List<String> findings,
    List<Setting> settings,
    List<Table> tables,
    List<Plot> plots,
    List<Goal> goals) {
  /** Copies the lists. */
  public ExperimentResult {
    question = List.copyOf(question);
    findings = List.copyOf(findings);
    settings = List.copyOf(settings);
    tables = List.copyOf(tables);
    plots = List.copyOf(plots);
    goals = List.copyOf(goals);
  }
}
