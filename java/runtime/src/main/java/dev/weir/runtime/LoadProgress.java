package dev.weir.runtime;

import dev.weir.runtime.internal.ffi.NativeProgress;

/**
 * How far {@link Model#load(Device, java.nio.file.Path, ModelOptions, LoadProgress)} has come.
 * Readable from any thread before, during and after the call; each value is a recent one, the two
 * are not read at one moment. Use one object for one load.
 */
public final class LoadProgress {
  private final NativeProgress progress = new NativeProgress();

  /** Bytes of weights that are ready. */
  public long done() {
    return progress.done();
  }

  /** Bytes of weights altogether; 0 until the files have been checked. */
  public long total() {
    return progress.total();
  }

  NativeProgress progress() {
    return progress;
  }
}
