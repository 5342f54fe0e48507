package dev.weir.benchmarks;

import dev.weir.runtime.Device;
import dev.weir.runtime.DeviceKind;
import dev.weir.runtime.DeviceMemoryException;
import dev.weir.runtime.DeviceOptions;
import dev.weir.runtime.DeviceUnavailableException;
import dev.weir.runtime.KvCacheOptions;
import dev.weir.runtime.MemoryPlan;
import dev.weir.runtime.Model;
import dev.weir.runtime.ModelOptions;
import dev.weir.runtime.Precision;
import dev.weir.runtime.StepOptions;
import dev.weir.runtime.UnsupportedException;
import dev.weir.runtime.WeirLibrary;
import java.nio.file.Path;
import java.util.Locale;

/** A model on a device, as the parameters of a benchmark name them. */
final class BenchmarkModel implements AutoCloseable {
  /** Random weights are drawn from this seed, so that every run computes with the same ones. */
  private static final long SEED = 1;

  /** System property by which {@link NsysProfiler} has a fork mark its NVTX ranges. */
  static final String RANGES = "weir.benchmark.ranges";

  private final Device device;
  private final Model model;

  private BenchmarkModel(Device device, Model model) {
    this.device = device;
    this.model = model;
  }

  /** The bundled stories260K with its real weights. */
  static BenchmarkModel stories260K(String device, Precision precision) {
    return open(
        device(device).withPrecision(precision), bundled("stories260K"), ModelOptions.defaults());
  }

  /**
   * Llama-2-7B's shape with random weights.
   *
   * @param layers the first ones that are kept; 0 keeps all 32
   */
  static BenchmarkModel llama2(DeviceOptions device, int layers) {
    return open(device, bundled("llama-2-7b"), ModelOptions.random(SEED).withLayerLimit(layers));
  }

  /**
   * Opens the device and loads the model, having seen to it that the weights and a step fit: where
   * the system hands out more memory than there is, the process would be killed later, without a
   * word.
   *
   * @throws SkippedException if the machine lacks the device, the precision or the memory
   */
  static BenchmarkModel open(DeviceOptions options, Path directory, ModelOptions modelOptions) {
    Device device = null;
    Model model = null;
    try {
      device = Device.open(options);
      if (Boolean.getBoolean(RANGES)) {
        WeirLibrary.profileRanges(true);
      }
      MemoryPlan plan =
          device.planMemory(
              directory, modelOptions, KvCacheOptions.unsized(), StepOptions.defaults());
      requireMemory(
          "weights and workspace",
          plan.weights() + plan.workspace() + plan.graphs(),
          plan.deviceAvailable());
      model = Model.load(device, directory, modelOptions);
      return new BenchmarkModel(device, model);
    } catch (DeviceUnavailableException | UnsupportedException | DeviceMemoryException e) {
      throw new SkippedException(e.getMessage());
    } finally {
      if (model == null && device != null) {
        device.close();
      }
    }
  }

  Model model() {
    return model;
  }

  /** Ends the run if the KV of {@code tokens} tokens does not fit beside the weights. */
  void requireKvMemory(long tokens) {
    requireMemory(
        "the KV cache of " + tokens + " tokens",
        tokens * model.info().kvBytesPerToken(),
        device.info().memoryAvailable());
  }

  @Override
  public void close() {
    model.close();
    device.close();
  }

  /**
   * The options of a device.
   *
   * @param name {@code cpu}, {@code cpu-reference}, {@code cuda} or {@code cuda:1} and so on
   */
  static DeviceOptions device(String name) {
    String[] parts = name.split(":", 2);
    for (DeviceKind kind : DeviceKind.values()) {
      if (kind.name().toLowerCase(Locale.ROOT).replace('_', '-').equals(parts[0])) {
        DeviceOptions options = DeviceOptions.of(kind);
        return parts.length == 1 ? options : options.withOrdinal(ordinal(name, parts[1]));
      }
    }
    throw noDevice(name);
  }

  /**
   * A folder under models/ of the tree: the working directory is its root, unless the system
   * property {@code weir.root} names it.
   */
  static Path bundled(String model) {
    return Path.of(System.getProperty("weir.root", ""), "models", model);
  }

  private static int ordinal(String name, String digits) {
    try {
      return Integer.parseInt(digits);
    } catch (NumberFormatException e) {
      throw noDevice(name);
    }
  }

  private static IllegalArgumentException noDevice(String name) {
    return new IllegalArgumentException(
        "'" + name + "' is no device; there are cpu, cpu-reference, cuda and cuda:ORDINAL");
  }

  static void requireMemory(String what, long needed, long available) {
    if (needed > available) {
      throw new SkippedException(
          String.format(
              Locale.ROOT,
              "%s would take %.1f GiB, the device has %.1f GiB free; -p layers=N keeps fewer layers,"
                  + " -p sequences=N and -p context=N take less KV cache",
              what,
              gibibytes(needed),
              gibibytes(available)));
    }
  }

  private static double gibibytes(long bytes) {
    return bytes / (double) (1L << 30);
  }
}
