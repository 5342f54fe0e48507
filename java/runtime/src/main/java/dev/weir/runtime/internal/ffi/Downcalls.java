package dev.weir.runtime.internal.ffi;

/** What the calls of {@link Functions} have in common. */
final class Downcalls {
  private Downcalls() {}

  /**
   * For the {@code Throwable} that invokeExact declares: a C function throws nothing of its own.
   */
  static AssertionError unexpected(Throwable thrown) {
    if (thrown instanceof RuntimeException exception) {
      throw exception;
    }
    if (thrown instanceof Error error) {
      throw error;
    }
    return new AssertionError(thrown);
  }
}
