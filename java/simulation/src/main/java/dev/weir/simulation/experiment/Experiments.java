package dev.weir.simulation.experiment;

import java.util.List;

/** The experiments that there are. */
public final class Experiments {
  private static final List<Experiment> ALL =
      List.of(
          PaperExperiment.synthetic(),
          PaperExperiment.lmsys(),
          new StabilityExperiment(),
          new LimitCycleExperiment(),
          new NonstationaryExperiment(),
          new CalibrationExperiment(),
          new TheoryExperiment());

  private Experiments() {}

  /** All, in the order in which they run. */
  public static List<Experiment> all() {
    return ALL;
  }

  /**
   * @throws IllegalArgumentException if no experiment has this name; the message lists those there
   *     are
   */
  public static Experiment named(String name) {
    return ALL.stream()
        .filter(experiment -> experiment.name().equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "no experiment is named '"
                        + name
                        + "'; there are "
                        + ALL.stream().map(Experiment::name).toList()));
  }
}
