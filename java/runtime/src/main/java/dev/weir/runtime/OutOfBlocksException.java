package dev.weir.runtime;

/**
 * The KV pool has too few free blocks; {@link #needed()} and {@link #available()} count blocks.
 * Nothing was changed: free, truncate or swap out a sequence and try again.
 */
public final class OutOfBlocksException extends WeirException {
  OutOfBlocksException(String message, long needed, long available) {
    super(Status.OUT_OF_BLOCKS, message, needed, available, null);
  }
}
