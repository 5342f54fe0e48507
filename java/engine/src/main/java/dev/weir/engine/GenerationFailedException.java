package dev.weir.engine;

/**
 * An accepted request could not be completed: the engine failed, or the one iteration did that the
 * request was part of. {@link Engine#state()} says whether the engine goes on, and the cause what
 * has happened; among others {@link dev.weir.runtime.DeviceMemoryException} (that iteration ran out
 * of memory), {@link dev.weir.runtime.InvalidModelException} (the request's logits are not finite),
 * {@link dev.weir.runtime.DeviceFailedException} (the device is lost) and {@link
 * StepTimeoutException} (it does not return).
 */
public final class GenerationFailedException extends RuntimeException {
  private static final long serialVersionUID = 1;

  GenerationFailedException(String message, Throwable cause) {
    super(message, cause);
  }
}
