package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** A {@code weir_sequence_info}: what the last description of a sequence of its cache gave. */
public final class NativeSequenceInfo {
  private static final long LENGTH = Layouts.offset(Layouts.SEQUENCE_INFO, "length");
  private static final long BLOCKS = Layouts.offset(Layouts.SEQUENCE_INFO, "blocks");
  private static final long SHARED_BLOCKS = Layouts.offset(Layouts.SEQUENCE_INFO, "shared_blocks");
  private static final long SWAPPED = Layouts.offset(Layouts.SEQUENCE_INFO, "swapped");

  final MemorySegment segment;

  NativeSequenceInfo(Arena arena) {
    segment = Layouts.allocate(Layouts.SEQUENCE_INFO, arena);
  }

  public int length() {
    return segment.get(JAVA_INT, LENGTH);
  }

  public int blocks() {
    return segment.get(JAVA_INT, BLOCKS);
  }

  public int sharedBlocks() {
    return segment.get(JAVA_INT, SHARED_BLOCKS);
  }

  public int swapped() {
    return segment.get(JAVA_INT, SWAPPED);
  }
}
