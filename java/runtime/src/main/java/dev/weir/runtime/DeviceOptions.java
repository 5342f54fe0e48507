package dev.weir.runtime;

import java.util.Objects;

/**
 * Which device to open. The numbers are checked by {@link Device#open}.
 *
 * @param kind what computes
 * @param ordinal which GPU, from 0; 0 for the CPU
 * @param threads operator threads of {@link DeviceKind#CPU}, 1 to 1024; 0 = as many as the process
 *     may run on
 */
public record DeviceOptions(DeviceKind kind, int ordinal, int threads) {
  public DeviceOptions {
    Objects.requireNonNull(kind, "kind");
  }

  /** The CPU with all threads that the process may run on. */
  public static DeviceOptions cpu() {
    return of(DeviceKind.CPU);
  }

  /** The GPU {@code ordinal}. */
  public static DeviceOptions cuda(int ordinal) {
    return new DeviceOptions(DeviceKind.CUDA, ordinal, 0);
  }

  /** The first device of a kind. */
  public static DeviceOptions of(DeviceKind kind) {
    return new DeviceOptions(kind, 0, 0);
  }

  public DeviceOptions withThreads(int threads) {
    return new DeviceOptions(kind, ordinal, threads);
  }
}
