package dev.weir.simulation;

import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;

/**
 * A request of a simulation. Times in seconds of the workload's clock; NaN for what has not
 * happened. Written by {@link Simulation} only.
 */
public final class SimulatedRequest {
  private final long index;
  private final Arrival arrival;
  final Request request;

  double scheduledAt = Double.NaN;
  double prefillCompletedAt = Double.NaN;
  double firstTokenAt = Double.NaN;
  double completedAt = Double.NaN;
  double lastTokenAt;
  double lastIterationEnd = Double.NaN;
  double executionTime;
  double preemptedTime;

  /** Tokens in the cache, kept apart because an eviction clears the scheduler's view. */
  int cachedTokens;

  /** Cached tokens at which the prefill, or the prefill after an eviction, is complete. */
  int prefillTokens;

  int generatedTokens;

  SimulatedRequest(long index, Arrival arrival, Request request) {
    this.index = index;
    this.arrival = arrival;
    this.request = request;
    this.prefillTokens = arrival.promptTokens();
    this.lastTokenAt = arrival.seconds();
  }

  /** Position in the workload, from 0. */
  public long index() {
    return index;
  }

  /** When it came and how long it is. */
  public Arrival arrival() {
    return arrival;
  }

  /** Start of the first iteration that it took part in. */
  public double scheduledAt() {
    return scheduledAt;
  }

  /** End of the iteration that completed its prefill for the first time. */
  public double prefillCompletedAt() {
    return prefillCompletedAt;
  }

  /** End of the iteration that gave its first token. */
  public double firstTokenAt() {
    return firstTokenAt;
  }

  /** End of its last iteration. */
  public double completedAt() {
    return completedAt;
  }

  /** Tokens that it has generated. */
  public int generatedTokens() {
    return generatedTokens;
  }

  /** Whether it holds KV blocks, or will with the iteration that is planned. */
  public boolean resident() {
    return request.state() == RequestState.RESIDENT;
  }

  /** Times it lost its KV blocks. */
  public int evictions() {
    return request.evictions();
  }

  /** Cached tokens that it lost. */
  public long recomputedTokens() {
    return request.recomputedTokens();
  }

  /** Sum of the durations of the iterations that it took part in. */
  public double executionTime() {
    return executionTime;
  }

  /** Time between its first and its last iteration in which it took part in none. */
  public double preemptedTime() {
    return preemptedTime;
  }
}
