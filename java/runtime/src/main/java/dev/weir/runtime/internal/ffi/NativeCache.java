package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The functions {@code weir_cache_*} and {@code weir_sequence_*} of one cache. Every method that
 * calls one returns a {@link NativeStatus}.
 *
 * <p>{@link #readStatistics} and {@link #describeSequence} do not allocate: they fill structs that
 * belong to this object. The callers of one of them take turns; the two are independent.
 */
public final class NativeCache {
  private final long handle;
  private final Arena arena = Arena.ofAuto();
  private final NativeCacheStatistics statistics = new NativeCacheStatistics(arena);
  private final NativeSequenceInfo sequenceInfo = new NativeSequenceInfo(arena);
  private final NativeError statisticsError = new NativeError(arena);
  private final NativeError sequenceInfoError = new NativeError(arena);

  /** The cache that {@link #create} made. */
  public NativeCache(long handle) {
    this.handle = handle;
  }

  public static int create(NativeCall call, long model, NativeCacheOptions options) {
    try {
      return (int)
          Functions.CACHE_CREATE.invokeExact(
              model, options.segment, call.result, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  public long handle() {
    return handle;
  }

  public NativeCacheStatistics statistics() {
    return statistics;
  }

  public NativeSequenceInfo sequenceInfo() {
    return sequenceInfo;
  }

  /** Of {@link #readStatistics}. */
  public NativeError statisticsError() {
    return statisticsError;
  }

  /** Of {@link #describeSequence}. */
  public NativeError sequenceInfoError() {
    return sequenceInfoError;
  }

  public int readStatistics() {
    try {
      return (int)
          Functions.CACHE_STATISTICS_READ.invokeExact(
              handle, statistics.segment, statisticsError.segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  public int describeSequence(long sequence) {
    try {
      return (int)
          Functions.SEQUENCE_DESCRIBE.invokeExact(
              handle, sequence, sequenceInfo.segment, sequenceInfoError.segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  public int createSequence(NativeCall call) {
    try {
      return (int) Functions.SEQUENCE_CREATE.invokeExact(handle, call.result, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  public int forkSequence(NativeCall call, long parent) {
    try {
      return (int)
          Functions.SEQUENCE_FORK.invokeExact(handle, parent, call.result, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  public int truncateSequence(NativeCall call, long sequence, int length) {
    try {
      return (int)
          Functions.SEQUENCE_TRUNCATE.invokeExact(handle, sequence, length, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  public int freeSequence(NativeCall call, long sequence) {
    try {
      return (int) Functions.SEQUENCE_FREE.invokeExact(handle, sequence, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  public int swapOutSequence(NativeCall call, long sequence) {
    try {
      return (int) Functions.SEQUENCE_SWAP_OUT.invokeExact(handle, sequence, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  public int swapInSequence(NativeCall call, long sequence) {
    try {
      return (int) Functions.SEQUENCE_SWAP_IN.invokeExact(handle, sequence, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  /**
   * The length of the block table is the call's count; {@code blockIds} gets as much of it as fits.
   */
  public int sequenceBlocks(NativeCall call, long sequence, int[] blockIds) {
    MemorySegment ids = call.arena.allocate(JAVA_INT, Math.max(1, blockIds.length));
    int status;
    try {
      status =
          (int)
              Functions.SEQUENCE_BLOCKS.invokeExact(
                  handle, sequence, ids, blockIds.length, call.result, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
    if (status == NativeStatus.OK) {
      int copied = Math.min(call.count(), blockIds.length);
      MemorySegment.copy(ids, JAVA_INT, 0, blockIds, 0, copied);
    }
    return status;
  }

  public int close(NativeCall call) {
    try {
      return (int) Functions.CACHE_CLOSE.invokeExact(handle, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }
}
