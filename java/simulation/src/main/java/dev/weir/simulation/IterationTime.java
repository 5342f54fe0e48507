package dev.weir.simulation;

/** A model of how long an iteration takes. Without side effects, so usable by several threads. */
@FunctionalInterface
public interface IterationTime {
  /**
   * Seconds that an iteration over a batch takes, greater than 0.
   *
   * @param batch at least one request
   */
  double seconds(BatchShape batch);
}
