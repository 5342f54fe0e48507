package dev.weir.runtime;

import dev.weir.runtime.internal.ffi.NativeDevice;

/** What computes. */
public enum DeviceKind {
  /**
   * Threaded operators on the CPU in the {@link Precision} asked for; oneDNN takes part in
   * multiplications where it is found.
   */
  CPU(NativeDevice.CPU),
  /**
   * Plain single-threaded 32-bit loops, in {@link Precision#FP32} only: slow, to compare the others
   * with.
   */
  CPU_REFERENCE(NativeDevice.CPU_REFERENCE),
  /**
   * An NVIDIA GPU of compute capability 8.0 or 9.0. Needs the driver, and cuBLASLt; {@link
   * Device#probe} says what is missing. {@link dev.weir.runtime.gpu.GpuMonitor} tells its state.
   */
  CUDA(NativeDevice.CUDA);

  private final int code;

  DeviceKind(int code) {
    this.code = code;
  }

  int code() {
    return code;
  }

  static DeviceKind of(int code) {
    for (DeviceKind kind : values()) {
      if (kind.code == code) {
        return kind;
      }
    }
    throw new InternalException(
        "the native library names a kind of device that this binding does not know: " + code);
  }
}
