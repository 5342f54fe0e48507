package dev.weir.simulation;

import dev.weir.scheduling.IterationCost;
import java.util.Objects;

/**
 * The paper's {@code d0 + d1 * (tokens of the batch in the cache)} (arXiv 2504.11320).
 *
 * @param cost {@code d0} and {@code d1}
 */
public record LinearIterationTime(IterationCost cost) implements IterationTime {
  /** Checks that there is a cost. */
  public LinearIterationTime {
    Objects.requireNonNull(cost, "cost");
  }

  @Override
  public double seconds(BatchShape batch) {
    return cost.seconds(batch.context());
  }
}
