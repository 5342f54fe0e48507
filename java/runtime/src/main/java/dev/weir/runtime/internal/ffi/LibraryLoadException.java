package dev.weir.runtime.internal.ffi;

/** The native library cannot be used; the message says where it was looked for and what to set. */
public final class LibraryLoadException extends Exception {
  LibraryLoadException(String message, Throwable cause) {
    super(message, cause);
  }
}
