package dev.weir.simulation.experiment;

import dev.weir.simulation.SimulatedIteration;
import dev.weir.simulation.SimulatedRequest;
import dev.weir.simulation.SimulationListener;

/**
 * Follows the entrance queues of Nested WAIT from outside: those who have generated exactly as many
 * tokens as a boundary and go on wait at the entrance behind it. Written down is the queue after
 * release: who was there at the start of an iteration and did not take part in it.
 */
final class EntranceQueues implements SimulationListener {
  private final int[] boundaries;
  private final long iterations;
  private final int[] waiting;
  private final int[] entered;
  private final int[] longest;

  /**
   * @param boundaries in output tokens, ascending, without that of the last segment
   * @param iterations how many to follow
   */
  EntranceQueues(int[] boundaries, long iterations) {
    this.boundaries = boundaries.clone();
    this.iterations = iterations;
    waiting = new int[boundaries.length];
    entered = new int[boundaries.length];
    longest = new int[boundaries.length];
  }

  @Override
  public void iterated(SimulatedIteration iteration) {
    for (int k = 0; k < boundaries.length; k++) {
      if (iteration.index() <= iterations) {
        longest[k] = Math.max(longest[k], waiting[k]);
      }
      waiting[k] += entered[k];
      entered[k] = 0;
    }
  }

  @Override
  public void generated(SimulatedRequest request, double gap) {
    for (int k = 0; k < boundaries.length; k++) {
      if (request.generatedTokens() == boundaries[k]
          && request.arrival().outputTokens() > boundaries[k]) {
        entered[k]++;
      } else if (request.generatedTokens() == boundaries[k] + 1) {
        waiting[k]--;
      }
    }
  }

  /** The longest queue after release at each boundary. */
  int[] longest() {
    return longest.clone();
  }
}
