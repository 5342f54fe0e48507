package dev.weir.runtime;

/**
 * The native library is not there, cannot be opened or does not fit this binding. The message names
 * what was tried and the setting that chooses another one ({@link WeirLibrary}).
 */
public final class NativeLibraryException extends WeirException {
  NativeLibraryException(String message, Throwable cause) {
    super(Status.LIBRARY_UNAVAILABLE, message, 0, 0, cause);
  }
}
