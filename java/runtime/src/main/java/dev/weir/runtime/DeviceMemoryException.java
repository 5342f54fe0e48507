package dev.weir.runtime;

/**
 * Memory of the host or the device is used up, {@link #needed()} and {@link #available()} count
 * bytes; or a cache has as many sequences as it may have.
 */
public final class DeviceMemoryException extends WeirException {
  /**
   * Also for who accounts for memory before it is taken.
   *
   * @param needed bytes
   * @param available bytes
   */
  public DeviceMemoryException(String message, long needed, long available) {
    super(Status.OUT_OF_MEMORY, message, needed, available, null);
  }
}
