package dev.weir.runtime.gpu;

/**
 * The driver does not tell what it was asked. The message says what is missing and what to install
 * or to set.
 */
public final class GpuMonitorException extends Exception {
  private static final long serialVersionUID = 1;

  /** For the monitor, and for who stands in for it in tests. */
  public GpuMonitorException(String message) {
    super(message);
  }

  GpuMonitorException(String message, Throwable cause) {
    super(message, cause);
  }
}
