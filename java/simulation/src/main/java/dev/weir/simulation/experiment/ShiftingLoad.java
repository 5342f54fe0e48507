package dev.weir.simulation.experiment;

import dev.weir.simulation.Arrival;
import dev.weir.simulation.ArrivalList;
import dev.weir.simulation.ArrivalProcess;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.DoubleSupplier;
import java.util.random.RandomGenerator;

/**
 * Bursty arrivals whose lengths change in the middle. The rate is relative to the fluid limit of
 * the lengths of the time, so that it is the mix that changes and not the load.
 *
 * @param arrivals all requests
 * @param shift when the lengths change, seconds
 */
record ShiftingLoad(ArrivalList arrivals, double shift) {
  /** Rates of the two states over {@code mu}; as each lasts as long on average, the mean is 0.8. */
  static final double LOW = 0.3;

  static final double HIGH = 1.3;

  /** Mean time in either state. */
  static final double STATE_SECONDS = 20;

  /**
   * Draws one. Each half begins in the slow state.
   *
   * @param halves the lengths before and after the shift
   * @param rates {@code mu} of each, requests a second
   * @param shift seconds of each half
   */
  static ShiftingLoad draw(
      List<RequestLengths> halves, List<Double> rates, double shift, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Arrival> arrivals = new ArrayList<>();
    for (int half = 0; half < 2; half++) {
      RequestLengths lengths = halves.get(half);
      double mu = rates.get(half);
      DoubleSupplier gaps =
          new ArrivalProcess.Mmpp2(LOW * mu, HIGH * mu, STATE_SECONDS, STATE_SECONDS)
              .start(random.split());
      RandomGenerator rows = random.split();
      for (double seconds = gaps.getAsDouble(); seconds < shift; seconds += gaps.getAsDouble()) {
        arrivals.add(lengths.row(half * shift + seconds, rows.nextInt(lengths.size())));
      }
    }
    return new ShiftingLoad(
        new ArrivalList(halves.get(0) + ", then " + halves.get(1) + ", seed " + seed, arrivals),
        shift);
  }

  /** The requests of the first half. */
  ArrivalList firstHalf() {
    return arrivals.filter(arrival -> arrival.seconds() < shift);
  }

  /** The requests of the second half, times from the shift. */
  ArrivalList secondHalf() {
    return new ArrivalList(
        arrivals.name(),
        arrivals.arrivals().stream()
            .filter(arrival -> arrival.seconds() >= shift)
            .map(
                arrival ->
                    new Arrival(
                        arrival.seconds() - shift, arrival.promptTokens(), arrival.outputTokens()))
            .toList());
  }
}
