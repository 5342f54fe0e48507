package dev.weir.runtime;

/** The model (or the request) is well-formed, but this release cannot run it. */
public final class UnsupportedModelException extends WeirException {
  UnsupportedModelException(String message) {
    super(Status.UNSUPPORTED, message, 0, 0, null);
  }
}
