package dev.weir.simulation;

/** What is wrong with one row of a trace. Without a stack trace, as files may have many. */
final class BadRowException extends Exception {
  private static final long serialVersionUID = 1;

  BadRowException(String message) {
    super(message, null, false, false);
  }
}
