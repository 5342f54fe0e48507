package dev.weir.simulation.experiment;

import dev.weir.simulation.SimulatedIteration;
import dev.weir.simulation.SimulationListener;

/** What happens in equal slices of an interval of virtual time. */
final class TimeSeries implements SimulationListener {
  private final double from;
  private final double slice;
  private final double[] busy;
  private final double[] blocks;
  private final double[] requests;
  private final double[] alive;
  private final long[] evictions;

  /**
   * @param from start of the first slice, seconds
   * @param until end of the last, seconds
   */
  TimeSeries(double from, double until, int slices) {
    this.from = from;
    slice = (until - from) / slices;
    busy = new double[slices];
    blocks = new double[slices];
    requests = new double[slices];
    alive = new double[slices];
    evictions = new long[slices];
  }

  @Override
  public void iterated(SimulatedIteration iteration) {
    int first = (int) Math.floor((iteration.start() - from) / slice);
    int last = (int) Math.floor((iteration.end() - from) / slice);
    for (int i = Math.max(0, first); i <= Math.min(last, busy.length - 1); i++) {
      double start = Math.max(iteration.start(), from + i * slice);
      double seconds = Math.min(iteration.end(), from + (i + 1) * slice) - start;
      if (seconds > 0) {
        busy[i] += seconds;
        blocks[i] += seconds * iteration.usedBlocks();
        requests[i] += seconds * iteration.batch().requests();
        alive[i] += seconds * iteration.alive();
      }
    }
    if (first >= 0 && first < evictions.length) {
      evictions[first] += iteration.evictions();
    }
  }

  int slices() {
    return busy.length;
  }

  double sliceSeconds() {
    return slice;
  }

  /** Middle of a slice, seconds. */
  double time(int index) {
    return from + (index + 0.5) * slice;
  }

  /** Blocks in use, on average while iterations ran. */
  double usedBlocks(int index) {
    return busy[index] == 0 ? 0 : blocks[index] / busy[index];
  }

  /** Requests in an iteration, on average while iterations ran. */
  double requests(int index) {
    return busy[index] == 0 ? 0 : requests[index] / busy[index];
  }

  /** Requests that had arrived and not ended, on average while iterations ran. */
  double alive(int index) {
    return busy[index] == 0 ? 0 : alive[index] / busy[index];
  }

  /** Evictions for iterations that began in the slice. */
  long evictions(int index) {
    return evictions[index];
  }
}
