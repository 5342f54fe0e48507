package dev.weir.runtime;

/** The device reported an error. It and everything made from it can only be closed. */
public final class DeviceFailedException extends WeirException {
  DeviceFailedException(String message) {
    super(Status.DEVICE_FAILED, message, 0, 0, null);
  }
}
