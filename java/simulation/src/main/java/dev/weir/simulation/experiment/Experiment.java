package dev.weir.simulation.experiment;

/** A question about schedulers that simulations answer. Without state, so that it can run again. */
public interface Experiment {
  /** What users write, in lower case with hyphens. */
  String name();

  /** One sentence. */
  String description();

  /**
   * Answers the question. The same context gives the same result, whatever the number of threads.
   */
  ExperimentResult run(ExperimentContext context);
}
