package dev.weir.simulation;

/** A file that is no trace: unreadable, an unknown header, or not one good row. */
public final class TraceException extends Exception {
  private static final long serialVersionUID = 1;

  TraceException(String message) {
    super(message);
  }

  TraceException(String message, Throwable cause) {
    super(message, cause);
  }
}
