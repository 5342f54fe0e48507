package dev.weir.testkit;

import dev.weir.scheduling.Request;

/** The load of a run, which may depend on how the run goes. */
interface Arrivals {
  /** The next job that has arrived by {@code now}, or null. */
  VirtualDriver.Job next(double now, int alive, int iteration);

  /** When the next job arrives if nobody departs before; positive infinity if none does. */
  double nextTime(double now, int alive);

  /** Whether no job will arrive any more. */
  boolean exhausted();

  /** A request has left, completed or cancelled. */
  default void departed(Request request) {}
}
