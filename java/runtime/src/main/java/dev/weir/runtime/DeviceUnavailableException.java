package dev.weir.runtime;

/**
 * There is no such device, driver or backend on this machine; the message says which is missing.
 */
public final class DeviceUnavailableException extends WeirException {
  DeviceUnavailableException(String message) {
    super(Status.DEVICE_UNAVAILABLE, message, 0, 0, null);
  }
}
