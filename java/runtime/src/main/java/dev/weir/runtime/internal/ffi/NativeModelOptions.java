package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;

/** A {@code weir_model_options}, valid until its call is closed. */
public final class NativeModelOptions {
  static final int WEIGHTS_FILES = 0;
  static final int WEIGHTS_RANDOM = 1;

  private static final long WEIGHTS = Layouts.offset(Layouts.MODEL_OPTIONS, "weights");
  private static final long SEED = Layouts.offset(Layouts.MODEL_OPTIONS, "seed");
  private static final long LAYER_LIMIT = Layouts.offset(Layouts.MODEL_OPTIONS, "layer_limit");
  private static final long PROGRESS = Layouts.offset(Layouts.MODEL_OPTIONS, "progress");

  final MemorySegment segment;

  public NativeModelOptions(NativeCall call, boolean random, long seed, int layerLimit) {
    segment = Layouts.allocate(Layouts.MODEL_OPTIONS, call.arena);
    segment.set(JAVA_INT, WEIGHTS, random ? WEIGHTS_RANDOM : WEIGHTS_FILES);
    segment.set(JAVA_LONG, SEED, seed);
    segment.set(JAVA_INT, LAYER_LIMIT, layerLimit);
  }

  /** Null for nobody who watches. */
  void progress(NativeProgress progress) {
    segment.set(ADDRESS, PROGRESS, progress == null ? MemorySegment.NULL : progress.segment);
  }
}
