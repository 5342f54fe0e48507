package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;

/** A {@code weir_cache_options}, valid until its call is closed. */
public final class NativeCacheOptions {
  private static final long BLOCK_SIZE = Layouts.offset(Layouts.CACHE_OPTIONS, "block_size");
  private static final long BLOCKS = Layouts.offset(Layouts.CACHE_OPTIONS, "blocks");
  private static final long BYTES = Layouts.offset(Layouts.CACHE_OPTIONS, "bytes");
  private static final long SWAP_BLOCKS = Layouts.offset(Layouts.CACHE_OPTIONS, "swap_blocks");
  private static final long MAX_SEQUENCES = Layouts.offset(Layouts.CACHE_OPTIONS, "max_sequences");
  private static final long KV_PRECISION = Layouts.offset(Layouts.CACHE_OPTIONS, "kv_precision");

  final MemorySegment segment;

  public NativeCacheOptions(
      NativeCall call,
      int blockSize,
      long blocks,
      long bytes,
      long swapBlocks,
      int maxSequences,
      int kvPrecision) {
    segment = Layouts.allocate(Layouts.CACHE_OPTIONS, call.arena);
    segment.set(JAVA_INT, BLOCK_SIZE, blockSize);
    segment.set(JAVA_LONG, BLOCKS, blocks);
    segment.set(JAVA_LONG, BYTES, bytes);
    segment.set(JAVA_LONG, SWAP_BLOCKS, swapBlocks);
    segment.set(JAVA_INT, MAX_SEQUENCES, maxSequences);
    segment.set(JAVA_INT, KV_PRECISION, kvPrecision);
  }
}
