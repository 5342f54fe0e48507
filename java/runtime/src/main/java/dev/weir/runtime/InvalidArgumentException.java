package dev.weir.runtime;

/**
 * A mistake of the caller: a value out of range, an object where it does not belong. The message
 * names the value and the limit. An {@link IllegalArgumentException}, so that code that handles
 * {@link WeirException} (memory used up, a device lost) does not handle programming errors by
 * accident.
 */
public final class InvalidArgumentException extends IllegalArgumentException {
  InvalidArgumentException(String message) {
    super(message);
  }

  /** {@link Status#INVALID_ARGUMENT}. */
  public Status status() {
    return Status.INVALID_ARGUMENT;
  }
}
