package dev.weir.engine;

/**
 * An accepted request could not be completed: the engine failed, or the one iteration that the
 * request was part of ran out of memory. The cause says which; {@link Engine#state()} says whether
 * the engine goes on.
 */
public final class GenerationFailedException extends RuntimeException {
  private static final long serialVersionUID = 1;

  GenerationFailedException(String message, Throwable cause) {
    super(message, cause);
  }
}
