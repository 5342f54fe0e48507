package dev.weir.cli;

/** A failure that is explained to the user by its message alone. */
final class CliException extends Exception {
  private static final long serialVersionUID = 1;

  CliException(String message) {
    super(message);
  }

  CliException(String message, Throwable cause) {
    super(message, cause);
  }
}
