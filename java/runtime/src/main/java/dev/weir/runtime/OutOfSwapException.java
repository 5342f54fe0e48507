package dev.weir.runtime;

/**
 * The host swap space has too few free blocks; {@link #needed()} and {@link #available()} count
 * blocks.
 */
public final class OutOfSwapException extends WeirException {
  OutOfSwapException(String message, long needed, long available) {
    super(Status.OUT_OF_SWAP, message, needed, available, null);
  }
}
