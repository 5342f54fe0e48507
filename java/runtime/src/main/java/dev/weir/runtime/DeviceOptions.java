package dev.weir.runtime;

import java.util.Objects;

/**
 * Which device to open, and how it computes. The numbers are checked by {@link Device#open}.
 *
 * <p><b>Threads.</b> The operators of a step run on the thread that runs the step and on threads of
 * the device, {@code threads} altogether, which sleep when there is nothing to do. CPU devices that
 * were opened with {@code threads} 0 share one pool of them, so that several engines in one process
 * do not use the processors twice; their steps take turns, operator by operator. A device with a
 * number of its own, or with pinned threads, has a pool of its own.
 *
 * @param kind what computes
 * @param ordinal which GPU, from 0; 0 for the CPU
 * @param threads operator threads of {@link DeviceKind#CPU}, 1 to 1024; 0 = as many as the process
 *     may run on
 * @param precision the numbers that models on this device compute with
 * @param pinThreads whether each operator thread of {@link DeviceKind#CPU} stays on a processor of
 *     its own; the first processor is left to the thread that runs steps, which is not pinned. For
 *     a process that has the machine to itself; two such devices share the same processors
 * @param deterministic whether only kernels are used that add up in a fixed order, so that the
 *     numbers of a sequence do not depend on what else is in its batch. Slow in {@link
 *     Precision#FP32} on the CPU
 * @param graphs whether {@link DeviceKind#CUDA} replays a recorded graph for steps that only
 *     decode, instead of launching every kernel; not looked at by the others
 */
public record DeviceOptions(
    DeviceKind kind,
    int ordinal,
    int threads,
    Precision precision,
    boolean pinThreads,
    boolean deterministic,
    boolean graphs) {
  public DeviceOptions {
    Objects.requireNonNull(kind, "kind");
    Objects.requireNonNull(precision, "precision");
  }

  /** The CPU with all threads that the process may run on. */
  public static DeviceOptions cpu() {
    return of(DeviceKind.CPU);
  }

  /** The GPU {@code ordinal}. */
  public static DeviceOptions cuda(int ordinal) {
    return of(DeviceKind.CUDA).withOrdinal(ordinal);
  }

  /** The first device of a kind, everything else by default. */
  public static DeviceOptions of(DeviceKind kind) {
    return new DeviceOptions(kind, 0, 0, Precision.DEFAULT, false, false, true);
  }

  public DeviceOptions withOrdinal(int ordinal) {
    return new DeviceOptions(kind, ordinal, threads, precision, pinThreads, deterministic, graphs);
  }

  public DeviceOptions withThreads(int threads) {
    return new DeviceOptions(kind, ordinal, threads, precision, pinThreads, deterministic, graphs);
  }

  public DeviceOptions withPrecision(Precision precision) {
    return new DeviceOptions(kind, ordinal, threads, precision, pinThreads, deterministic, graphs);
  }

  public DeviceOptions withPinThreads(boolean pinThreads) {
    return new DeviceOptions(kind, ordinal, threads, precision, pinThreads, deterministic, graphs);
  }

  public DeviceOptions withDeterministic(boolean deterministic) {
    return new DeviceOptions(kind, ordinal, threads, precision, pinThreads, deterministic, graphs);
  }

  public DeviceOptions withGraphs(boolean graphs) {
    return new DeviceOptions(kind, ordinal, threads, precision, pinThreads, deterministic, graphs);
  }
}
