package dev.weir.runtime;

/**
 * A model, a request or the options of a device are well-formed, but this release, or the processor
 * that it runs on, cannot do it. The message names what it is.
 */
public final class UnsupportedException extends WeirException {
  UnsupportedException(String message) {
    super(Status.UNSUPPORTED, message, 0, 0, null);
  }
}
