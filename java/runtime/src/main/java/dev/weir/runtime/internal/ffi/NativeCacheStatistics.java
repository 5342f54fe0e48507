package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** A {@code weir_cache_statistics}: what the last reading of its cache gave. */
public final class NativeCacheStatistics {
  private static final long BLOCK_SIZE = Layouts.offset(Layouts.CACHE_STATISTICS, "block_size");
  private static final long BLOCK_BYTES = Layouts.offset(Layouts.CACHE_STATISTICS, "block_bytes");
  private static final long CAPACITY = Layouts.offset(Layouts.CACHE_STATISTICS, "capacity");
  private static final long FREE = Layouts.offset(Layouts.CACHE_STATISTICS, "free");
  private static final long USED = Layouts.offset(Layouts.CACHE_STATISTICS, "used");
  private static final long SHARED = Layouts.offset(Layouts.CACHE_STATISTICS, "shared");
  private static final long PEAK_USED = Layouts.offset(Layouts.CACHE_STATISTICS, "peak_used");
  private static final long SWAP_CAPACITY =
      Layouts.offset(Layouts.CACHE_STATISTICS, "swap_capacity");
  private static final long SWAP_USED = Layouts.offset(Layouts.CACHE_STATISTICS, "swap_used");
  private static final long SEQUENCES = Layouts.offset(Layouts.CACHE_STATISTICS, "sequences");
  private static final long SWAPPED_SEQUENCES =
      Layouts.offset(Layouts.CACHE_STATISTICS, "swapped_sequences");
  private static final long RESIDENT_TOKENS =
      Layouts.offset(Layouts.CACHE_STATISTICS, "resident_tokens");
  private static final long STEPS = Layouts.offset(Layouts.CACHE_STATISTICS, "steps");
  private static final long TOKENS_COMPUTED =
      Layouts.offset(Layouts.CACHE_STATISTICS, "tokens_computed");
  private static final long COPIED_ON_WRITE =
      Layouts.offset(Layouts.CACHE_STATISTICS, "copied_on_write");
  private static final long SWAPPED_OUT = Layouts.offset(Layouts.CACHE_STATISTICS, "swapped_out");
  private static final long SWAPPED_IN = Layouts.offset(Layouts.CACHE_STATISTICS, "swapped_in");

  final MemorySegment segment;

  NativeCacheStatistics(Arena arena) {
    segment = Layouts.allocate(Layouts.CACHE_STATISTICS, arena);
  }

  public int blockSize() {
    return segment.get(JAVA_INT, BLOCK_SIZE);
  }

  public long blockBytes() {
    return segment.get(JAVA_LONG, BLOCK_BYTES);
  }

  public long capacity() {
    return segment.get(JAVA_LONG, CAPACITY);
  }

  public long free() {
    return segment.get(JAVA_LONG, FREE);
  }

  public long used() {
    return segment.get(JAVA_LONG, USED);
  }

  public long shared() {
    return segment.get(JAVA_LONG, SHARED);
  }

  public long peakUsed() {
    return segment.get(JAVA_LONG, PEAK_USED);
  }

  public long swapCapacity() {
    return segment.get(JAVA_LONG, SWAP_CAPACITY);
  }

  public long swapUsed() {
    return segment.get(JAVA_LONG, SWAP_USED);
  }

  public long sequences() {
    return segment.get(JAVA_LONG, SEQUENCES);
  }

  public long swappedSequences() {
    return segment.get(JAVA_LONG, SWAPPED_SEQUENCES);
  }

  public long residentTokens() {
    return segment.get(JAVA_LONG, RESIDENT_TOKENS);
  }

  public long steps() {
    return segment.get(JAVA_LONG, STEPS);
  }

  public long tokensComputed() {
    return segment.get(JAVA_LONG, TOKENS_COMPUTED);
  }

  public long copiedOnWrite() {
    return segment.get(JAVA_LONG, COPIED_ON_WRITE);
  }

  public long swappedOut() {
    return segment.get(JAVA_LONG, SWAPPED_OUT);
  }

  public long swappedIn() {
    return segment.get(JAVA_LONG, SWAPPED_IN);
  }
}
