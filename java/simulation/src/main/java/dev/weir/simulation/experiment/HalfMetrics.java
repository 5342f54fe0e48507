package dev.weir.simulation.experiment;

import dev.weir.simulation.SimulatedIteration;
import dev.weir.simulation.SimulatedRequest;
import dev.weir.simulation.SimulationListener;
import dev.weir.simulation.metrics.Percentiles;
import dev.weir.simulation.metrics.ServiceObjectives;
import java.util.stream.LongStream;

/**
 * The figures of each half of an arrival window, of the requests that arrived in it. Throughput
 * counts their tokens that were there before the half ended.
 */
final class HalfMetrics implements SimulationListener {
  private static final double NANOS = 1e9;

  private final double shift;
  private final double end;
  private final ServiceObjectives objectives;
  private final long[] generated = new long[2];
  private final long[] useful = new long[2];
  private final long[] recomputed = new long[2];
  private final long[] good = new long[2];
  private final LongStream.Builder[] firstTokens = {LongStream.builder(), LongStream.builder()};
  private double now;

  /**
   * The figures of one half.
   *
   * @param throughput output tokens a second
   * @param goodput requests that meet the objectives, a second
   * @param recomputedShare recomputed tokens over prompt and output tokens
   * @param timeToFirstToken TTFT
   */
  record Half(
      double throughput, double goodput, double recomputedShare, Percentiles timeToFirstToken) {}

  /**
   * @param shift end of the first half, seconds
   * @param end last arrival, seconds
   */
  HalfMetrics(double shift, double end, ServiceObjectives objectives) {
    this.shift = shift;
    this.end = end;
    this.objectives = objectives;
  }

  private int half(double seconds) {
    return seconds < shift ? 0 : 1;
  }

  @Override
  public void iterated(SimulatedIteration iteration) {
    now = iteration.end();
  }

  @Override
  public void generated(SimulatedRequest request, double gap) {
    int half = half(request.arrival().seconds());
    if (now <= (half == 0 ? shift : end)) {
      generated[half]++;
    }
    if (request.generatedTokens() == 1) {
      firstTokens[half].add(Math.round(gap * NANOS));
    }
  }

  @Override
  public void completed(SimulatedRequest request) {
    int half = half(request.arrival().seconds());
    useful[half] += request.arrival().totalTokens();
    recomputed[half] += request.recomputedTokens();
    int gaps = request.arrival().outputTokens() - 1;
    double decoding = request.completedAt() - request.firstTokenAt();
    if (objectives.met(
        request.firstTokenAt() - request.arrival().seconds(), gaps == 0 ? 0 : decoding / gaps)) {
      good[half]++;
    }
  }

  /** The figures of a half, once the simulation has ended; each half only once. */
  Half half(int index) {
    double seconds = index == 0 ? shift : end - shift;
    return new Half(
        generated[index] / seconds,
        good[index] / seconds,
        useful[index] == 0 ? Double.NaN : recomputed[index] / (double) useful[index],
        Percentiles.of(firstTokens[index].build()));
  }
}
