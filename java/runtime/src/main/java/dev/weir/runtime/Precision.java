package dev.weir.runtime;

import dev.weir.runtime.internal.ffi.NativeDevice;

/**
 * The numbers that a device computes with. A model's weights are converted when it is loaded,
 * whatever the number format of its files.
 *
 * <p>Logits, sampling, norms and the residual stream are 32-bit floats in every precision. How far
 * a precision is from {@link #FP32} depends on the model: a token whose lead over the second is
 * smaller than the error may come out differently.
 */
public enum Precision {
  /**
   * What suits the device: on {@link DeviceKind#CPU} {@link #BF16} if the processor has AVX-512
   * BF16 and VNNI, {@link #FP32} otherwise; on {@link DeviceKind#CPU_REFERENCE} {@link #FP32}; on
   * {@link DeviceKind#CUDA} {@link #FP16}. As the precision of keys and values, that of the model's
   * activations.
   */
  DEFAULT(NativeDevice.PRECISION_DEFAULT),
  /**
   * 32-bit floats throughout: 4 bytes a weight, and for each number of keys and values. On the CPU.
   */
  FP32(NativeDevice.PRECISION_FP32),
  /**
   * Weights, the inputs of multiplications, keys and values in bfloat16, 2 bytes each; sums in
   * 32-bit floats. On the CPU it needs AVX-512 BF16 and VNNI.
   */
  BF16(NativeDevice.PRECISION_BF16),
  /**
   * As {@link #BF16}, but multiplications by weights are done in 8-bit integers: 1 byte a weight
   * and a scale for each output, which is computed once; a scale for each token's activations,
   * which is computed in every step. The table of the embeddings stays in bfloat16. On the CPU.
   *
   * <p>As the precision of keys and values, on {@link DeviceKind#CUDA}: 8-bit integers with a scale
   * for each key and each value of a head.
   */
  INT8(NativeDevice.PRECISION_INT8),
  /** As {@link #BF16}, in IEEE half precision. On {@link DeviceKind#CUDA}. */
  FP16(NativeDevice.PRECISION_FP16),
  /**
   * Of keys and values only, on {@link DeviceKind#CUDA}: 8-bit floats (E4M3) with a scale for each
   * key and each value of a head.
   */
  FP8(NativeDevice.PRECISION_FP8);

  private final int code;

  Precision(int code) {
    this.code = code;
  }

  int code() {
    return code;
  }

  static Precision of(int code) {
    for (Precision precision : values()) {
      if (precision.code == code) {
        return precision;
      }
    }
    throw new InternalException(
        "the native library names a precision that this binding does not know: " + code);
  }
}
