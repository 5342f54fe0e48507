package dev.weir.runtime;

import dev.weir.runtime.internal.ffi.NativeCall;
import dev.weir.runtime.internal.ffi.NativeModelOptions;

/**
 * How to load a model.
 *
 * @param randomWeights draw the weights from {@code seed} instead of reading them; only config.json
 *     is read then. For benchmarks and tests of shapes
 * @param seed for random weights
 * @param layerLimit keep only the first layers, to fit big shapes into small memory; 0 = all
 */
public record ModelOptions(boolean randomWeights, long seed, int layerLimit) {
  private static final ModelOptions DEFAULTS = new ModelOptions(false, 0, 0);

  /** All layers, weights from the files. */
  public static ModelOptions defaults() {
    return DEFAULTS;
  }

  /** All layers, weights drawn from {@code seed}. */
  public static ModelOptions random(long seed) {
    return new ModelOptions(true, seed, 0);
  }

  public ModelOptions withLayerLimit(int layerLimit) {
    return new ModelOptions(randomWeights, seed, layerLimit);
  }

  NativeModelOptions toNative(NativeCall call) {
    return new NativeModelOptions(call, randomWeights, seed, layerLimit);
  }
}
