package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;

/** A {@code weir_memory_plan}, valid until its call is closed. */
public final class NativeMemoryPlan {
  private static final long BLOCK_SIZE = Layouts.offset(Layouts.MEMORY_PLAN, "block_size");
  private static final long DEVICE_TOTAL = Layouts.offset(Layouts.MEMORY_PLAN, "device_total");
  private static final long DEVICE_AVAILABLE =
      Layouts.offset(Layouts.MEMORY_PLAN, "device_available");
  private static final long WEIGHTS = Layouts.offset(Layouts.MEMORY_PLAN, "weights");
  private static final long WORKSPACE = Layouts.offset(Layouts.MEMORY_PLAN, "workspace");
  private static final long GRAPHS = Layouts.offset(Layouts.MEMORY_PLAN, "graphs");
  private static final long KV_AVAILABLE = Layouts.offset(Layouts.MEMORY_PLAN, "kv_available");
  private static final long KV_BLOCK_BYTES = Layouts.offset(Layouts.MEMORY_PLAN, "kv_block_bytes");
  private static final long KV_BLOCKS = Layouts.offset(Layouts.MEMORY_PLAN, "kv_blocks");
  private static final long KV_BYTES = Layouts.offset(Layouts.MEMORY_PLAN, "kv_bytes");
  private static final long SWAP_BYTES = Layouts.offset(Layouts.MEMORY_PLAN, "swap_bytes");

  final MemorySegment segment;

  public NativeMemoryPlan(NativeCall call) {
    segment = Layouts.allocate(Layouts.MEMORY_PLAN, call.arena);
  }

  public int blockSize() {
    return segment.get(JAVA_INT, BLOCK_SIZE);
  }

  public long deviceTotal() {
    return segment.get(JAVA_LONG, DEVICE_TOTAL);
  }

  public long deviceAvailable() {
    return segment.get(JAVA_LONG, DEVICE_AVAILABLE);
  }

  public long weights() {
    return segment.get(JAVA_LONG, WEIGHTS);
  }

  public long workspace() {
    return segment.get(JAVA_LONG, WORKSPACE);
  }

  public long graphs() {
    return segment.get(JAVA_LONG, GRAPHS);
  }

  public long kvAvailable() {
    return segment.get(JAVA_LONG, KV_AVAILABLE);
  }

  public long kvBlockBytes() {
    return segment.get(JAVA_LONG, KV_BLOCK_BYTES);
  }

  public long kvBlocks() {
    return segment.get(JAVA_LONG, KV_BLOCKS);
  }

  public long kvBytes() {
    return segment.get(JAVA_LONG, KV_BYTES);
  }

  public long swapBytes() {
    return segment.get(JAVA_LONG, SWAP_BYTES);
  }
}
