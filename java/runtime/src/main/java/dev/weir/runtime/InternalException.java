package dev.weir.runtime;

/** A defect of Weir. Please report it with its message. */
public final class InternalException extends WeirException {
  InternalException(String message) {
    super(Status.INTERNAL, message, 0, 0, null);
  }
}
