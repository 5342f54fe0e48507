package dev.weir.runtime;

/** The object, or one it was made from, was closed. */
public final class ClosedException extends WeirException {
  ClosedException(String message) {
    super(Status.CLOSED, message, 0, 0, null);
  }
}
