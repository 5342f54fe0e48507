package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.invoke.MethodHandle;

/**
 * One method handle for every function of weir.h. They are static and final so that the compiler
 * inlines the call; none is linked as critical, because every one of them may wait for a lock, a
 * file or a device.
 *
 * <p>Initialised by {@link NativeLibrary#load} and not before.
 */
final class Functions {
  static final MethodHandle ABI_VERSION = link("weir_abi_version", JAVA_INT);
  static final MethodHandle VERSION = link("weir_version", ADDRESS);
  static final MethodHandle STATUS_NAME = link("weir_status_name", ADDRESS, JAVA_INT);
  static final MethodHandle LAYOUT_COUNT = link("weir_layout_count", JAVA_INT);
  static final MethodHandle LAYOUT_FIELD =
      link("weir_layout_field", JAVA_INT, JAVA_INT, ADDRESS, ADDRESS);

  static final MethodHandle DEVICE_PROBE =
      link("weir_device_probe", JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS);
  static final MethodHandle DEVICE_OPEN =
      link("weir_device_open", JAVA_INT, ADDRESS, ADDRESS, ADDRESS);
  static final MethodHandle DEVICE_DESCRIBE =
      link("weir_device_describe", JAVA_INT, JAVA_LONG, ADDRESS, ADDRESS);
  static final MethodHandle DEVICE_CLOSE = link("weir_device_close", JAVA_INT, JAVA_LONG, ADDRESS);

  static final MethodHandle MODEL_INSPECT =
      link("weir_model_inspect", JAVA_INT, ADDRESS, ADDRESS, ADDRESS, ADDRESS);
  static final MethodHandle MODEL_LOAD =
      link("weir_model_load", JAVA_INT, JAVA_LONG, ADDRESS, ADDRESS, ADDRESS, ADDRESS);
  static final MethodHandle MODEL_DESCRIBE =
      link("weir_model_describe", JAVA_INT, JAVA_LONG, ADDRESS, ADDRESS);
  static final MethodHandle MODEL_CLOSE = link("weir_model_close", JAVA_INT, JAVA_LONG, ADDRESS);

  static final MethodHandle CACHE_CREATE =
      link("weir_cache_create", JAVA_INT, JAVA_LONG, ADDRESS, ADDRESS, ADDRESS);
  static final MethodHandle CACHE_STATISTICS_READ =
      link("weir_cache_statistics_read", JAVA_INT, JAVA_LONG, ADDRESS, ADDRESS);
  static final MethodHandle CACHE_CLOSE = link("weir_cache_close", JAVA_INT, JAVA_LONG, ADDRESS);

  static final MethodHandle SEQUENCE_CREATE =
      link("weir_sequence_create", JAVA_INT, JAVA_LONG, ADDRESS, ADDRESS);
  static final MethodHandle SEQUENCE_FORK =
      link("weir_sequence_fork", JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS);
  static final MethodHandle SEQUENCE_TRUNCATE =
      link("weir_sequence_truncate", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT, ADDRESS);
  static final MethodHandle SEQUENCE_FREE =
      link("weir_sequence_free", JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS);
  static final MethodHandle SEQUENCE_SWAP_OUT =
      link("weir_sequence_swap_out", JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS);
  static final MethodHandle SEQUENCE_SWAP_IN =
      link("weir_sequence_swap_in", JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS);
  static final MethodHandle SEQUENCE_DESCRIBE =
      link("weir_sequence_describe", JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS);
  static final MethodHandle SEQUENCE_BLOCKS =
      link(
          "weir_sequence_blocks",
          JAVA_INT,
          JAVA_LONG,
          JAVA_LONG,
          ADDRESS,
          JAVA_INT,
          ADDRESS,
          ADDRESS);

  static final MethodHandle STEP_CREATE =
      link("weir_step_create", JAVA_INT, JAVA_LONG, ADDRESS, ADDRESS, ADDRESS);
  static final MethodHandle STEP_BUFFERS_GET =
      link("weir_step_buffers_get", JAVA_INT, JAVA_LONG, ADDRESS, ADDRESS);
  static final MethodHandle STEP_RUN =
      link("weir_step_run", JAVA_INT, JAVA_LONG, JAVA_INT, ADDRESS, ADDRESS);
  static final MethodHandle STEP_LOGITS =
      link("weir_step_logits", JAVA_INT, JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, ADDRESS);
  static final MethodHandle STEP_CLOSE = link("weir_step_close", JAVA_INT, JAVA_LONG, ADDRESS);

  static final MethodHandle PLAN_MEMORY =
      link(
          "weir_plan_memory",
          JAVA_INT,
          JAVA_LONG,
          ADDRESS,
          ADDRESS,
          ADDRESS,
          ADDRESS,
          ADDRESS,
          ADDRESS);

  static final MethodHandle PROFILE_RANGES =
      link("weir_profile_ranges", JAVA_INT, JAVA_INT, ADDRESS);

  private Functions() {}

  private static MethodHandle link(String name, MemoryLayout result, MemoryLayout... parameters) {
    return Linker.nativeLinker()
        .downcallHandle(
            NativeLibrary.symbols().findOrThrow(name), FunctionDescriptor.of(result, parameters));
  }
}
