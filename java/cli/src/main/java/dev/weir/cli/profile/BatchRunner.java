package dev.weir.cli.profile;

import dev.weir.simulation.BatchGroup;
import java.util.List;

/** Something that runs batches and has a clock. */
public interface BatchRunner {
  /** Brings the KV cache into the state in which {@link #run} can run a batch, untimed. */
  void prepare(List<BatchGroup> batch);

  /**
   * Runs the batch that was prepared last. It stays prepared: every run computes the same.
   *
   * @return what it took, in nanoseconds
   */
  long run();
}
