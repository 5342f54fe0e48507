package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * The structs of weir.h. Names are those of the header, so that a test can compare every field with
 * what the C++ compiler made of it.
 */
final class Layouts {
  static final int MESSAGE_BYTES = 1000;
  static final int DEVICE_NAME_BYTES = 128;
  static final int DEVICE_MATMUL_BYTES = 256;
  static final int PCI_BUS_ID_BYTES = 16;
  static final int MAX_EOS_TOKENS = 8;

  static final StructLayout ERROR =
      struct(
          "weir_error",
          JAVA_INT.withName("struct_size"),
          JAVA_INT.withName("status"),
          JAVA_LONG.withName("needed"),
          JAVA_LONG.withName("available"),
          MemoryLayout.sequenceLayout(MESSAGE_BYTES, JAVA_BYTE).withName("message"));

  static final StructLayout FIELD_LAYOUT =
      struct(
          "weir_field_layout",
          JAVA_INT.withName("struct_size"),
          JAVA_INT.withName("field_size"),
          JAVA_INT.withName("field_offset"),
          JAVA_INT.withName("owner_size"),
          ADDRESS.withName("owner"),
          ADDRESS.withName("field"));

  static final StructLayout DEVICE_OPTIONS =
      struct(
          "weir_device_options",
          JAVA_INT.withName("struct_size"),
          JAVA_INT.withName("kind"),
          JAVA_INT.withName("ordinal"),
          JAVA_INT.withName("threads"),
          JAVA_INT.withName("precision"),
          JAVA_INT.withName("flags"));

  static final StructLayout DEVICE_INFO =
      struct(
          "weir_device_info",
          JAVA_INT.withName("struct_size"),
          JAVA_INT.withName("kind"),
          JAVA_INT.withName("ordinal"),
          JAVA_INT.withName("threads"),
          JAVA_LONG.withName("memory_total"),
          JAVA_LONG.withName("memory_available"),
          MemoryLayout.sequenceLayout(DEVICE_NAME_BYTES, JAVA_BYTE).withName("name"),
          MemoryLayout.sequenceLayout(DEVICE_MATMUL_BYTES, JAVA_BYTE).withName("matmul"),
          JAVA_INT.withName("precision"),
          JAVA_INT.withName("compute_capability"),
          JAVA_INT.withName("multiprocessors"),
          JAVA_INT.withName("reserved"),
          MemoryLayout.sequenceLayout(PCI_BUS_ID_BYTES, JAVA_BYTE).withName("pci_bus_id"));

  static final StructLayout PROGRESS =
      struct(
          "weir_progress",
          JAVA_INT.withName("struct_size"),
          JAVA_INT.withName("reserved"),
          JAVA_LONG.withName("done"),
          JAVA_LONG.withName("total"));

  static final StructLayout MODEL_OPTIONS =
      struct(
          "weir_model_options",
          JAVA_INT.withName("struct_size"),
          JAVA_INT.withName("weights"),
          JAVA_LONG.withName("seed"),
          JAVA_INT.withName("layer_limit"),
          JAVA_INT.withName("reserved"),
          ADDRESS.withName("progress"));

  static final StructLayout MODEL_INFO =
      struct(
          "weir_model_info",
          JAVA_INT.withName("struct_size"),
          JAVA_INT.withName("vocabulary_size"),
          JAVA_INT.withName("hidden_size"),
          JAVA_INT.withName("intermediate_size"),
          JAVA_INT.withName("layers"),
          JAVA_INT.withName("heads"),
          JAVA_INT.withName("kv_heads"),
          JAVA_INT.withName("head_size"),
          JAVA_INT.withName("context_length"),
          JAVA_INT.withName("tied_embeddings"),
          JAVA_FLOAT.withName("rope_theta"),
          JAVA_FLOAT.withName("norm_epsilon"),
          JAVA_INT.withName("bos_token"),
          JAVA_INT.withName("eos_token_count"),
          MemoryLayout.sequenceLayout(MAX_EOS_TOKENS, JAVA_INT).withName("eos_tokens"),
          JAVA_INT.withName("reserved"),
          JAVA_LONG.withName("parameters"),
          JAVA_LONG.withName("weight_bytes"),
          JAVA_LONG.withName("kv_bytes_per_token"));

  static final StructLayout CACHE_OPTIONS =
      struct(
          "weir_cache_options",
          JAVA_INT.withName("struct_size"),
          JAVA_INT.withName("block_size"),
          JAVA_LONG.withName("blocks"),
          JAVA_LONG.withName("bytes"),
          JAVA_LONG.withName("swap_blocks"),
          JAVA_INT.withName("max_sequences"),
          JAVA_INT.withName("kv_precision"));

  static final StructLayout CACHE_STATISTICS =
      struct(
          "weir_cache_statistics",
          JAVA_INT.withName("struct_size"),
          JAVA_INT.withName("block_size"),
          JAVA_LONG.withName("block_bytes"),
          JAVA_LONG.withName("capacity"),
          JAVA_LONG.withName("free"),
          JAVA_LONG.withName("used"),
          JAVA_LONG.withName("shared"),
          JAVA_LONG.withName("peak_used"),
          JAVA_LONG.withName("swap_capacity"),
          JAVA_LONG.withName("swap_used"),
          JAVA_LONG.withName("sequences"),
          JAVA_LONG.withName("swapped_sequences"),
          JAVA_LONG.withName("resident_tokens"),
          JAVA_LONG.withName("steps"),
          JAVA_LONG.withName("tokens_computed"),
          JAVA_LONG.withName("copied_on_write"),
          JAVA_LONG.withName("swapped_out"),
          JAVA_LONG.withName("swapped_in"));

  static final StructLayout SEQUENCE_INFO =
      struct(
          "weir_sequence_info",
          JAVA_INT.withName("struct_size"),
          JAVA_INT.withName("length"),
          JAVA_INT.withName("blocks"),
          JAVA_INT.withName("shared_blocks"),
          JAVA_INT.withName("swapped"),
          JAVA_INT.withName("reserved"));

  static final StructLayout STEP_OPTIONS =
      struct(
          "weir_step_options",
          JAVA_INT.withName("struct_size"),
          JAVA_INT.withName("max_entries"),
          JAVA_INT.withName("max_tokens"),
          JAVA_INT.withName("max_top_logprobs"));

  static final StructLayout STEP_BUFFERS =
      struct(
          "weir_step_buffers",
          JAVA_INT.withName("struct_size"),
          JAVA_INT.withName("max_entries"),
          JAVA_INT.withName("max_tokens"),
          JAVA_INT.withName("max_top_logprobs"),
          ADDRESS.withName("sequences"),
          ADDRESS.withName("token_counts"),
          ADDRESS.withName("tokens"),
          ADDRESS.withName("flags"),
          ADDRESS.withName("temperatures"),
          ADDRESS.withName("top_k"),
          ADDRESS.withName("top_p"),
          ADDRESS.withName("repetition_penalties"),
          ADDRESS.withName("seeds"),
          ADDRESS.withName("top_logprobs"),
          ADDRESS.withName("sampled_tokens"),
          ADDRESS.withName("sampled_logprobs"),
          ADDRESS.withName("top_tokens"),
          ADDRESS.withName("top_token_logprobs"));

  static final StructLayout STEP_REPORT =
      struct(
          "weir_step_report",
          JAVA_INT.withName("struct_size"),
          JAVA_INT.withName("entries"),
          JAVA_INT.withName("tokens"),
          JAVA_INT.withName("sampled"),
          JAVA_LONG.withName("blocks_taken"),
          JAVA_LONG.withName("copied_on_write"),
          JAVA_LONG.withName("nanoseconds"));

  static final StructLayout MEMORY_PLAN =
      struct(
          "weir_memory_plan",
          JAVA_INT.withName("struct_size"),
          JAVA_INT.withName("block_size"),
          JAVA_LONG.withName("device_total"),
          JAVA_LONG.withName("device_available"),
          JAVA_LONG.withName("weights"),
          JAVA_LONG.withName("workspace"),
          JAVA_LONG.withName("graphs"),
          JAVA_LONG.withName("kv_available"),
          JAVA_LONG.withName("kv_block_bytes"),
          JAVA_LONG.withName("kv_blocks"),
          JAVA_LONG.withName("kv_bytes"),
          JAVA_LONG.withName("swap_bytes"));

  static final List<StructLayout> ALL =
      List.of(
          ERROR,
          FIELD_LAYOUT,
          DEVICE_OPTIONS,
          DEVICE_INFO,
          PROGRESS,
          MODEL_OPTIONS,
          MODEL_INFO,
          CACHE_OPTIONS,
          CACHE_STATISTICS,
          SEQUENCE_INFO,
          STEP_OPTIONS,
          STEP_BUFFERS,
          STEP_REPORT,
          MEMORY_PLAN);

  private Layouts() {}

  /** Bytes from the start of {@code struct} to its field {@code field}. */
  static long offset(StructLayout struct, String field) {
    return struct.byteOffset(PathElement.groupElement(field));
  }

  /** A zeroed struct whose {@code struct_size} is set. */
  static MemorySegment allocate(StructLayout struct, Arena arena) {
    MemorySegment segment = arena.allocate(struct);
    segment.set(JAVA_INT, 0, (int) struct.byteSize());
    return segment;
  }

  /**
   * Puts the fields at the offsets of a C compiler: each at a multiple of its own alignment, the
   * whole a multiple of the largest.
   */
  private static StructLayout struct(String name, MemoryLayout... fields) {
    List<MemoryLayout> elements = new ArrayList<>();
    long offset = 0;
    long largest = 1;
    for (MemoryLayout field : fields) {
      offset = pad(elements, offset, field.byteAlignment());
      elements.add(field);
      offset += field.byteSize();
      largest = Math.max(largest, field.byteAlignment());
    }
    pad(elements, offset, largest);
    return MemoryLayout.structLayout(elements.toArray(MemoryLayout[]::new)).withName(name);
  }

  private static long pad(List<MemoryLayout> elements, long offset, long alignment) {
    long padding = Math.floorMod(-offset, alignment);
    if (padding > 0) {
      elements.add(MemoryLayout.paddingLayout(padding));
    }
    return offset + padding;
  }
}
