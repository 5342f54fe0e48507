package dev.weir.runtime;

import dev.weir.runtime.internal.ffi.NativeCall;
import dev.weir.runtime.internal.ffi.NativeDevice;
import dev.weir.runtime.internal.ffi.NativeDeviceInfo;
import dev.weir.runtime.internal.ffi.NativeLibrary;
import dev.weir.runtime.internal.ffi.NativeMemoryPlan;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;

/** An open device. Safe for use by many threads. */
public final class Device implements AutoCloseable {
  private final long handle;
  private final AtomicBoolean closed = new AtomicBoolean();

  private Device(long handle) {
    this.handle = handle;
  }

  /**
   * Opens a device.
   *
   * @throws DeviceUnavailableException if it is not there; the message says what is missing
   * @throws UnsupportedException if the processor (or the kind of device) does not compute in the
   *     precision asked for; the message says what it lacks. {@link Precision#DEFAULT} and {@link
   *     Precision#FP32} are there on every CPU
   * @throws DeviceMemoryException if the system does not start so many threads
   * @throws InvalidArgumentException if a number is out of range
   * @throws NativeLibraryException if the native library cannot be used
   */
  public static Device open(DeviceOptions options) {
    Objects.requireNonNull(options, "options");
    WeirLibrary.load();
    if (options.kind() == DeviceKind.CUDA) {
      NativeLibrary.openCublasLt();
    }
    try (NativeCall call = new NativeCall()) {
      Status.check(
          NativeDevice.open(
              call,
              options.kind().code(),
              options.ordinal(),
              options.threads(),
              options.precision().code(),
              options.pinThreads(),
              options.deterministic(),
              options.graphs()),
          call.error());
      return new Device(call.result());
    }
  }

  /**
   * Returns if a device of this kind can be opened here.
   *
   * @throws DeviceUnavailableException if it cannot; the message says why
   * @throws InvalidArgumentException if {@code ordinal} is negative
   * @throws NativeLibraryException if the native library cannot be used
   */
  public static void probe(DeviceKind kind, int ordinal) {
    Objects.requireNonNull(kind, "kind");
    WeirLibrary.load();
    try (NativeCall call = new NativeCall()) {
      Status.check(NativeDevice.probe(call, kind.code(), ordinal), call.error());
    }
  }

  /** Describes the device; the free memory is that of the moment. */
  public DeviceInfo info() {
    try (NativeCall call = new NativeCall()) {
      NativeDeviceInfo info = new NativeDeviceInfo(call);
      Status.check(NativeDevice.describe(call, handle(), info), call.error());
      return new DeviceInfo(
          DeviceKind.of(info.kind()),
          info.ordinal(),
          info.threads(),
          Precision.of(info.precision()),
          info.memoryTotal(),
          info.memoryAvailable(),
          info.name(),
          info.matmul(),
          info.computeCapability(),
          info.multiprocessors(),
          info.pciBusId());
    }
  }

  /**
   * What a model, a cache and a step with these options would take of the device's memory. Nothing
   * is taken: config.json is read and the headers of the weight files; with random weights only
   * config.json.
   *
   * @param cache if it is {@link KvCacheOptions#unsized()}, the plan gives the KV pool all that is
   *     left
   * @throws ModelIoException if a file cannot be read
   * @throws InvalidModelException if a file is damaged or inconsistent
   * @throws UnsupportedException if the architecture, a number format or the precision of the KV is
   *     not supported
   * @throws InvalidArgumentException if an option is out of range
   * @throws ClosedException if the device was closed
   */
  public MemoryPlan planMemory(
      Path directory, ModelOptions model, KvCacheOptions cache, StepOptions step) {
    Objects.requireNonNull(directory, "directory");
    Objects.requireNonNull(model, "model");
    Objects.requireNonNull(cache, "cache");
    Objects.requireNonNull(step, "step");
    try (NativeCall call = new NativeCall()) {
      NativeMemoryPlan plan = new NativeMemoryPlan(call);
      Status.check(
          NativeDevice.planMemory(
              call,
              handle(),
              directory.toString(),
              model.toNative(call),
              cache.toNative(call),
              step.toNative(call),
              plan),
          call.error());
      return new MemoryPlan(
          plan.blockSize(),
          plan.deviceTotal(),
          plan.deviceAvailable(),
          plan.weights(),
          plan.workspace(),
          plan.graphs(),
          plan.kvAvailable(),
          plan.kvBlockBytes(),
          plan.kvBlocks(),
          plan.kvBytes(),
          plan.swapBytes());
    }
  }

  /** Models that were loaded onto the device stay usable until they are closed. */
  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      try (NativeCall call = new NativeCall()) {
        Status.check(NativeDevice.close(call, handle), call.error());
      }
    }
  }

  long handle() {
    if (closed.get()) {
      throw new ClosedException("the device was closed");
    }
    return handle;
  }
}
