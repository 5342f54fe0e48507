package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;

/** The functions {@code weir_model_*}. Every method returns a {@link NativeStatus}. */
public final class NativeModel {
  static final int WEIGHTS_FILES = 0;
  static final int WEIGHTS_RANDOM = 1;

  private static final long WEIGHTS = Layouts.offset(Layouts.MODEL_OPTIONS, "weights");
  private static final long SEED = Layouts.offset(Layouts.MODEL_OPTIONS, "seed");
  private static final long LAYER_LIMIT = Layouts.offset(Layouts.MODEL_OPTIONS, "layer_limit");
  private static final long PROGRESS = Layouts.offset(Layouts.MODEL_OPTIONS, "progress");

  private NativeModel() {}

  public static int inspect(
      NativeCall call,
      String directory,
      boolean random,
      long seed,
      int layerLimit,
      NativeModelInfo info) {
    MemorySegment path = call.arena.allocateFrom(directory);
    MemorySegment options = options(call, random, seed, layerLimit);
    try {
      return (int)
          Functions.MODEL_INSPECT.invokeExact(path, options, info.segment, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  /** Reports to {@code progress} unless that is null. */
  public static int load(
      NativeCall call,
      long device,
      String directory,
      boolean random,
      long seed,
      int layerLimit,
      NativeProgress progress) {
    MemorySegment path = call.arena.allocateFrom(directory);
    MemorySegment options = options(call, random, seed, layerLimit);
    MemorySegment reported = progress == null ? MemorySegment.NULL : progress.segment;
    options.set(ADDRESS, PROGRESS, reported);
    try {
      return (int)
          Functions.MODEL_LOAD.invokeExact(
              device, path, options, call.result, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    } finally {
      Reference.reachabilityFence(progress);
    }
  }

  public static int describe(NativeCall call, long model, NativeModelInfo info) {
    try {
      return (int) Functions.MODEL_DESCRIBE.invokeExact(model, info.segment, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  public static int close(NativeCall call, long model) {
    try {
      return (int) Functions.MODEL_CLOSE.invokeExact(model, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  private static MemorySegment options(NativeCall call, boolean random, long seed, int layerLimit) {
    MemorySegment options = Layouts.allocate(Layouts.MODEL_OPTIONS, call.arena);
    options.set(JAVA_INT, WEIGHTS, random ? WEIGHTS_RANDOM : WEIGHTS_FILES);
    options.set(JAVA_LONG, SEED, seed);
    options.set(JAVA_INT, LAYER_LIMIT, layerLimit);
    return options;
  }
}
