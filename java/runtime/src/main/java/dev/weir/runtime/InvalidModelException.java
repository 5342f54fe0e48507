package dev.weir.runtime;

/** A file of the model is damaged or contradicts itself or another one. */
public final class InvalidModelException extends WeirException {
  InvalidModelException(String message) {
    super(Status.INVALID_MODEL, message, 0, 0, null);
  }
}
