package dev.weir.runtime;

/** The device reported an error. It and everything made from it can only be closed. */
public final class DeviceFailedException extends WeirException {
  /** Also for what stands in for a device in tests. */
  public DeviceFailedException(String message) {
    super(Status.DEVICE_FAILED, message, 0, 0, null);
  }
}
