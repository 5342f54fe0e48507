package dev.weir.simulation;

/** Requests wait, no more will arrive, and the scheduler schedules none of them. */
public final class StalledException extends RuntimeException {
  private static final long serialVersionUID = 1;

  StalledException(String message) {
    super(message);
  }
}
