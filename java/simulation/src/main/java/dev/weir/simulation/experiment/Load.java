package dev.weir.simulation.experiment;

import dev.weir.simulation.Arrival;
import dev.weir.simulation.ArrivalList;
import dev.weir.simulation.ArrivalProcess;
import dev.weir.simulation.SimulationListener;
import dev.weir.simulation.SimulationListeners;
import dev.weir.simulation.SimulationOptions;
import dev.weir.simulation.SimulationResult;
import dev.weir.simulation.metrics.Metrics;
import dev.weir.simulation.metrics.ServiceObjectives;
import dev.weir.simulation.metrics.SimulationMetrics;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;

/**
 * Poisson arrivals of one seed, to be served at any rate: the gaps of rate 1 are stretched, so that
 * every policy and every rate gets the same requests in the same order.
 *
 * @param unit the arrivals at one request a second
 */
record Load(ArrivalList unit) {
  /** Share of the arrival window that throughput and goodput leave out. */
  static final double WARM_UP = 0.2;

  private static final int LEAST_CAP = 4;

  static Load of(RequestLengths lengths, int requests, long seed) {
    return new Load(lengths.draw(requests, new ArrivalProcess.Poisson(1), seed));
  }

  /** The requests at a rate. */
  Iterator<Arrival> at(double rate) {
    return unit.arrivals().stream()
        .map(
            arrival ->
                new Arrival(
                    arrival.seconds() / rate, arrival.promptTokens(), arrival.outputTokens()))
        .iterator();
  }

  /** Serves the load at a rate. */
  Metrics serve(
      ExperimentContext context,
      ServingSetup setup,
      Policy policy,
      double rate,
      Optional<ServiceObjectives> objectives,
      SimulationListener listener) {
    SimulationMetrics figures =
        new SimulationMetrics(WARM_UP * unit.windowSeconds() / rate, objectives);
    SimulationResult result =
        context.simulate(
            setup.simulation(policy, rate), at(rate), SimulationListeners.both(figures, listener));
    return figures.metrics(result, setup.memory().blocks());
  }

  /**
   * The cap of {@code capped-fcfs} with the highest throughput at a rate.
   *
   * @param caps how many to try; must have been planned
   */
  int bestCap(ExperimentContext context, ServingSetup setup, double rate, int caps) {
    SimulationOptions options = setup.simulation(Policy.of(CapSearch.SCHEDULER), rate);
    double warmUp = WARM_UP * unit.windowSeconds() / rate;
    List<CapSearch.Trial> trials =
        context.map(
            CapSearch.grid(LEAST_CAP, setup.limits().maxSequences(), caps),
            cap -> CapSearch.simulate(options, () -> at(rate), cap, warmUp));
    context.skip(caps);
    return new CapSearch.Result(trials).best().cap();
  }
}
