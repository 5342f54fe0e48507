package dev.weir.simulation;

import java.util.List;

/**
 * A trace file as it was read.
 *
 * @param workload the good rows; all at time 0 if the file has no arrival times
 * @param timed whether the file has arrival times
 * @param badRows the rows that were left out, in file order
 */
public record Trace(ArrivalList workload, boolean timed, List<BadRow> badRows) {
  /** Copies the list. */
  public Trace {
    badRows = List.copyOf(badRows);
  }
}
