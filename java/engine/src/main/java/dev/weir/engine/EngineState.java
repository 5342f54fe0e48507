package dev.weir.engine;

/** The life of an {@link Engine}; it only moves forward. */
public enum EngineState {
  RUNNING,
  /** Closing: nothing is accepted any more, accepted requests are being completed. */
  DRAINING,
  /** Closed by {@link Engine#close}; device and model are released. */
  CLOSED,
  /** Ended by an error; every pending request was completed exceptionally. */
  FAILED
}
