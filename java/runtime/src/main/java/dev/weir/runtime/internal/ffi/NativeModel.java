package dev.weir.runtime.internal.ffi;

import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;

/** The functions {@code weir_model_*}. Every method returns a {@link NativeStatus}. */
public final class NativeModel {
  private NativeModel() {}

  public static int inspect(
      NativeCall call, String directory, NativeModelOptions options, NativeModelInfo info) {
    MemorySegment path = call.arena.allocateFrom(directory);
    try {
      return (int)
          Functions.MODEL_INSPECT.invokeExact(
              path, options.segment, info.segment, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  /** Reports to {@code progress} unless that is null. */
  public static int load(
      NativeCall call,
      long device,
      String directory,
      NativeModelOptions options,
      NativeProgress progress) {
    MemorySegment path = call.arena.allocateFrom(directory);
    options.progress(progress);
    try {
      return (int)
          Functions.MODEL_LOAD.invokeExact(
              device, path, options.segment, call.result, call.error().segment);
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
}
