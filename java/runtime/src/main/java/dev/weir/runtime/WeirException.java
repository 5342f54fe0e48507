package dev.weir.runtime;

/**
 * Something that the native layer could not do. The message names the value, the limit and the
 * setting to turn.
 *
 * <p>The caller's own mistakes are {@link InvalidArgumentException}, which is not one of these.
 */
public abstract sealed class WeirException extends RuntimeException
    permits ClosedException,
        DeviceFailedException,
        DeviceMemoryException,
        DeviceUnavailableException,
        InternalException,
        InvalidModelException,
        ModelIoException,
        NativeLibraryException,
        OutOfBlocksException,
        OutOfSwapException,
        UnsupportedException {
  private final Status status;
  private final long needed;
  private final long available;

  WeirException(Status status, String message, long needed, long available, Throwable cause) {
    super(message, cause);
    this.status = status;
    this.needed = needed;
    this.available = available;
  }

  public final Status status() {
    return status;
  }

  /** What the call asked for, in the unit that {@link #status()} names; 0 where there is none. */
  public final long needed() {
    return needed;
  }

  /** What there was, in the unit that {@link #status()} names; 0 where there is none. */
  public final long available() {
    return available;
  }
}
