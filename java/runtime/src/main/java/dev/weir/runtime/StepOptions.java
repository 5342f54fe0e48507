package dev.weir.runtime;

import dev.weir.runtime.internal.ffi.NativeCall;
import dev.weir.runtime.internal.ffi.NativeStepOptions;

/**
 * How large a batch a {@link Step} can take. The numbers are checked by {@link Step#create}.
 *
 * @param maxEntries sequences in one batch, 1 to 65,536; 0 = 256
 * @param maxTokens tokens in one batch, all sequences together, 1 to 1,048,576; 0 = 2,048
 * @param maxTopLogProbabilities the largest {@link Sampling#topLogProbabilities()}, 0 to 64
 */
public record StepOptions(int maxEntries, int maxTokens, int maxTopLogProbabilities) {
  private static final StepOptions DEFAULTS = new StepOptions(0, 0, 0);

  /** 256 sequences, 2,048 tokens, no top log-probabilities. */
  public static StepOptions defaults() {
    return DEFAULTS;
  }

  NativeStepOptions toNative(NativeCall call) {
    return new NativeStepOptions(call, maxEntries, maxTokens, maxTopLogProbabilities);
  }
}
