package dev.weir.runtime;

import dev.weir.runtime.internal.ffi.NativeCall;
import dev.weir.runtime.internal.ffi.NativeStatus;
import java.util.Arrays;

/**
 * A text whose keys and values are in a {@link KvCache}. Ends with its cache. Safe for use by many
 * threads; a call may wait for a step that runs on the cache.
 */
public final class Sequence implements AutoCloseable {
  private final KvCache cache;
  private final long id;
  private volatile boolean closed;

  Sequence(KvCache cache, long id) {
    this.cache = cache;
    this.id = id;
  }

  /** Tokens in the cache. Does not allocate. */
  public int length() {
    return cache.sequenceLength(id());
  }

  /**
   * A copy that shares every block with this sequence; a block is copied when one of the two writes
   * into it. Takes no block.
   *
   * @throws InvalidArgumentException if this sequence is swapped out
   * @throws DeviceMemoryException if {@link KvCacheOptions#maxSequences()} sequences exist
   */
  public Sequence fork() {
    try (NativeCall call = new NativeCall()) {
      Status.check(cache.open().forkSequence(call, id()), call.error());
      return new Sequence(cache, call.result());
    }
  }

  /**
   * Forgets all tokens from position {@code length} on; blocks that become empty are freed.
   *
   * @param length 0 to the current length
   * @throws InvalidArgumentException if {@code length} is out of range
   */
  public void truncate(int length) {
    try (NativeCall call = new NativeCall()) {
      Status.check(cache.open().truncateSequence(call, id(), length), call.error());
    }
  }

  /**
   * Moves the sequence's blocks to the host swap space; blocks that others share stay in the pool
   * for them.
   *
   * @throws OutOfSwapException if the swap space has too few free blocks
   * @throws InvalidArgumentException if it is swapped out already
   */
  public void swapOut() {
    try (NativeCall call = new NativeCall()) {
      Status.check(cache.open().swapOutSequence(call, id()), call.error());
    }
  }

  /**
   * Moves the sequence back into blocks of its own.
   *
   * @throws OutOfBlocksException if the pool has too few free blocks
   * @throws InvalidArgumentException if it is not swapped out
   */
  public void swapIn() {
    try (NativeCall call = new NativeCall()) {
      Status.check(cache.open().swapInSequence(call, id()), call.error());
    }
  }

  /** Whether it is in the host swap space. Does not allocate. */
  public boolean isSwapped() {
    return cache.isSequenceSwapped(id());
  }

  public SequenceInfo info() {
    return cache.sequenceInfo(id());
  }

  /**
   * The ids of its blocks in the order of its tokens, for debugging and tests; empty while it is
   * swapped out. Not a snapshot if another thread changes the sequence meanwhile.
   */
  public int[] blockTable() {
    int[] ids = new int[info().blocks()];
    try (NativeCall call = new NativeCall()) {
      Status.check(cache.open().sequenceBlocks(call, id(), ids), call.error());
      return call.count() < ids.length ? Arrays.copyOf(ids, call.count()) : ids;
    }
  }

  /** Ends the sequence and frees its blocks. */
  @Override
  public void close() {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    try (NativeCall call = new NativeCall()) {
      int status = cache.nativeCache().freeSequence(call, id);
      // A cache that was closed took its sequences with it.
      if (status != NativeStatus.CLOSED) {
        Status.check(status, call.error());
      }
    }
  }

  KvCache cache() {
    return cache;
  }

  long id() {
    if (closed) {
      throw new ClosedException("the sequence was closed");
    }
    return id;
  }
}
