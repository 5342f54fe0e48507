package dev.weir.runtime;

/** A file of the model cannot be opened or read. */
public final class ModelIoException extends WeirException {
  ModelIoException(String message) {
    super(Status.IO_ERROR, message, 0, 0, null);
  }
}
