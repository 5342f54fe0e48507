package dev.weir.simulation;

import dev.weir.scheduling.HoldReason;
import java.util.List;

/** Joins listeners. */
public final class SimulationListeners {
  private SimulationListeners() {}

  /** Tells all of them, in this order. */
  public static SimulationListener all(List<SimulationListener> listeners) {
    return listeners.stream()
        .reduce(SimulationListeners::both)
        .orElseGet(() -> new SimulationListener() {});
  }

  /** Tells {@code first} and then {@code second}. */
  public static SimulationListener both(SimulationListener first, SimulationListener second) {
    return new SimulationListener() {
      @Override
      public void arrived(SimulatedRequest request) {
        first.arrived(request);
        second.arrived(request);
      }

      @Override
      public void refused(long index, Arrival arrival, String reason) {
        first.refused(index, arrival, reason);
        second.refused(index, arrival, reason);
      }

      @Override
      public void planned(double time) {
        first.planned(time);
        second.planned(time);
      }

      @Override
      public void evicted(SimulatedRequest request) {
        first.evicted(request);
        second.evicted(request);
      }

      @Override
      public void held(SimulatedRequest request, HoldReason reason) {
        first.held(request, reason);
        second.held(request, reason);
      }

      @Override
      public void predicted(SimulatedRequest request, double overflowProbability) {
        first.predicted(request, overflowProbability);
        second.predicted(request, overflowProbability);
      }

      @Override
      public void resumed(SimulatedRequest request) {
        first.resumed(request);
        second.resumed(request);
      }

      @Override
      public void prefilling(SimulatedRequest request, int tokens) {
        first.prefilling(request, tokens);
        second.prefilling(request, tokens);
      }

      @Override
      public void iterated(SimulatedIteration iteration) {
        first.iterated(iteration);
        second.iterated(iteration);
      }

      @Override
      public void generated(SimulatedRequest request, double gap) {
        first.generated(request, gap);
        second.generated(request, gap);
      }

      @Override
      public void completed(SimulatedRequest request) {
        first.completed(request);
        second.completed(request);
      }
    };
  }
}
