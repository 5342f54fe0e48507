package dev.weir.simulation.experiment;

import dev.weir.simulation.SimulatedRequest;
import dev.weir.simulation.SimulationListener;

/**
 * What a run lacks to the fluid benchmark: {@code Theta* - (output tokens of requests completed by
 * the horizon) / horizon}, in tokens a second (arXiv 2504.11320, throughput gap).
 *
 * <p>The expected output tokens of requests that arrive by the horizon are {@code Theta* *
 * horizon}, so {@link #estimate} puts those that did arrive in their place: the expectation is the
 * same, but the fluctuation of the arrivals, larger than the gap itself, cancels.
 */
final class ThroughputGap implements SimulationListener {
  private final double horizon;
  private long arrivedTokens;
  private long completedTokens;
  private long startedTokens;

  /**
   * @param horizon in seconds
   */
  ThroughputGap(double horizon) {
    this.horizon = horizon;
  }

  @Override
  public void arrived(SimulatedRequest request) {
    if (request.arrival().seconds() <= horizon) {
      arrivedTokens += request.arrival().outputTokens();
    }
  }

  @Override
  public void completed(SimulatedRequest request) {
    if (request.completedAt() <= horizon) {
      completedTokens += request.arrival().outputTokens();
    }
    if (request.scheduledAt() < horizon) {
      startedTokens += request.arrival().outputTokens();
    }
  }

  /** The unbiased estimate of the gap with the arrivals' fluctuation taken out, tokens a second. */
  double estimate() {
    return (arrivedTokens - completedTokens) / horizon;
  }

  /** The part of {@link #estimate} that is due to requests that have not started. */
  double waiting() {
    return (arrivedTokens - startedTokens) / horizon;
  }
}
