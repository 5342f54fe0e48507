package dev.weir.engine;

import java.time.Duration;
import java.util.Locale;

/**
 * The device has not returned from a call for as long as {@link EngineOptions#stepTimeout()}
 * allows. It may hang for good, and a thread cannot be interrupted in it: what the engine holds of
 * the device is released if it returns after all, and with the process otherwise.
 */
public final class StepTimeoutException extends RuntimeException {
  private static final long serialVersionUID = 1;

  StepTimeoutException(Duration limit) {
    super(
        String.format(
            Locale.ROOT,
            "the device has not returned from a step for %.3f s (stepTimeout); restart the process to"
                + " release it",
            limit.toNanos() * 1e-9));
  }
}
