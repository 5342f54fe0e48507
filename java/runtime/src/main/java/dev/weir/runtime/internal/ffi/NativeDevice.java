package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.MemorySegment;

/**
 * The functions {@code weir_device_*}, {@code weir_plan_memory} and {@code weir_profile_ranges}.
 * Every method returns a {@link NativeStatus}.
 */
public final class NativeDevice {
  public static final int CPU = 0;
  public static final int CPU_REFERENCE = 1;
  public static final int CUDA = 2;

  public static final int PRECISION_DEFAULT = 0;
  public static final int PRECISION_FP32 = 1;
  public static final int PRECISION_BF16 = 2;
  public static final int PRECISION_INT8 = 3;
  public static final int PRECISION_FP16 = 4;
  public static final int PRECISION_FP8 = 5;

  static final int PIN_THREADS = 1;
  static final int DETERMINISTIC = 2;
  static final int NO_GRAPHS = 4;

  private static final long KIND = Layouts.offset(Layouts.DEVICE_OPTIONS, "kind");
  private static final long ORDINAL = Layouts.offset(Layouts.DEVICE_OPTIONS, "ordinal");
  private static final long THREADS = Layouts.offset(Layouts.DEVICE_OPTIONS, "threads");
  private static final long PRECISION = Layouts.offset(Layouts.DEVICE_OPTIONS, "precision");
  private static final long FLAGS = Layouts.offset(Layouts.DEVICE_OPTIONS, "flags");

  private NativeDevice() {}

  public static int probe(NativeCall call, int kind, int ordinal) {
    try {
      return (int) Functions.DEVICE_PROBE.invokeExact(kind, ordinal, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  public static int open(
      NativeCall call,
      int kind,
      int ordinal,
      int threads,
      int precision,
      boolean pinThreads,
      boolean deterministic,
      boolean graphs) {
    MemorySegment options = Layouts.allocate(Layouts.DEVICE_OPTIONS, call.arena);
    options.set(JAVA_INT, KIND, kind);
    options.set(JAVA_INT, ORDINAL, ordinal);
    options.set(JAVA_INT, THREADS, threads);
    options.set(JAVA_INT, PRECISION, precision);
    int flags =
        (pinThreads ? PIN_THREADS : 0)
            | (deterministic ? DETERMINISTIC : 0)
            | (graphs ? 0 : NO_GRAPHS);
    options.set(JAVA_INT, FLAGS, flags);
    try {
      return (int) Functions.DEVICE_OPEN.invokeExact(options, call.result, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  public static int describe(NativeCall call, long device, NativeDeviceInfo info) {
    try {
      return (int)
          Functions.DEVICE_DESCRIBE.invokeExact(device, info.segment, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  /** What the three would take on the device, into {@code plan}. */
  public static int planMemory(
      NativeCall call,
      long device,
      String directory,
      NativeModelOptions model,
      NativeCacheOptions cache,
      NativeStepOptions step,
      NativeMemoryPlan plan) {
    MemorySegment path = call.arena.allocateFrom(directory);
    try {
      return (int)
          Functions.PLAN_MEMORY.invokeExact(
              device,
              path,
              model.segment,
              cache.segment,
              step.segment,
              plan.segment,
              call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  public static int profileRanges(NativeCall call, boolean enabled) {
    try {
      return (int) Functions.PROFILE_RANGES.invokeExact(enabled ? 1 : 0, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  public static int close(NativeCall call, long device) {
    try {
      return (int) Functions.DEVICE_CLOSE.invokeExact(device, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }
}
