package dev.weir.runtime;

/**
 * Memory of the host or the device is used up, {@link #needed()} and {@link #available()} count
 * bytes; or a cache has as many sequences as it may have.
 */
public final class DeviceMemoryException extends WeirException {
  DeviceMemoryException(String message, long needed, long available) {
    super(Status.OUT_OF_MEMORY, message, needed, available, null);
  }
}
