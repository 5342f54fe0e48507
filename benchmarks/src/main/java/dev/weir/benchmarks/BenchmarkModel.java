package dev.weir.benchmarks;

import dev.weir.runtime.Device;
import dev.weir.runtime.DeviceInfo;
import dev.weir.runtime.DeviceKind;
import dev.weir.runtime.DeviceMemoryException;
import dev.weir.runtime.DeviceOptions;
import dev.weir.runtime.DeviceUnavailableException;
import dev.weir.runtime.Model;
import dev.weir.runtime.ModelInfo;
import dev.weir.runtime.ModelOptions;
import dev.weir.runtime.Precision;
import dev.weir.runtime.UnsupportedException;
import java.nio.file.Path;
import java.util.Locale;

/**
 * A model on a device, as the parameters of a benchmark name them.
 *
 * @throws SkippedException by {@link #open} where the machine lacks what the parameters ask for
 */
final class BenchmarkModel implements AutoCloseable {
  /** Random weights are drawn from this seed, so that every run computes with the same ones. */
  private static final long SEED = 1;

  private final Device device;
  private final Model model;

  private BenchmarkModel(Device device, Model model) {
    this.device = device;
    this.model = model;
  }

  /** The bundled stories260K with its real weights. */
  static BenchmarkModel stories260K(String device, Precision precision) {
    return open(device, precision, bundled("stories260K"), ModelOptions.defaults());
  }

  /** Llama-2-7B's shape with random weights, cut to its first layers; 0 keeps all 32. */
  static BenchmarkModel llama2(String device, Precision precision, int layers) {
    return open(
        device, precision, bundled("llama-2-7b"), ModelOptions.random(SEED).withLayerLimit(layers));
  }

  /**
   * Opens the device and loads the model, having seen to it that the weights fit: where the system
   * hands out more memory than there is, the process would be killed later, without a word.
   *
   * @param device {@code cpu}, {@code cpu-reference}, {@code cuda} or {@code cuda:1} and so on
   */
  static BenchmarkModel open(
      String device, Precision precision, Path directory, ModelOptions options) {
    Device opened = null;
    Model loaded = null;
    try {
      opened = Device.open(device(device).withPrecision(precision));
      DeviceInfo info = opened.info();
      requireMemory(
          "the weights",
          weightBytes(Model.inspect(directory, options), info.precision()),
          info.memoryAvailable(),
          device);
      loaded = Model.load(opened, directory, options);
      return new BenchmarkModel(opened, loaded);
    } catch (DeviceUnavailableException | UnsupportedException | DeviceMemoryException e) {
      throw new SkippedException(e.getMessage());
    } finally {
      if (loaded == null && opened != null) {
        opened.close();
      }
    }
  }

  Model model() {
    return model;
  }

  /** Ends the run if {@code bytes} of KV cache do not fit beside the weights. */
  void requireKvMemory(long tokens) {
    DeviceInfo info = device.info();
    requireMemory(
        "the KV cache of " + tokens + " tokens",
        tokens * model.info().kvBytesPerToken(),
        info.memoryAvailable(),
        info.kind().name().toLowerCase(Locale.ROOT));
  }

  @Override
  public void close() {
    model.close();
    device.close();
  }

  /**
   * A folder under models/ of the tree: the working directory is its root, unless the system
   * property {@code weir.root} names it.
   */
  static Path bundled(String model) {
    return Path.of(System.getProperty("weir.root", ""), "models", model);
  }

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

  static long weightBytes(ModelInfo model, Precision precision) {
    return switch (precision) {
      case FP32 -> 4 * model.parameters();
      // Of int8, the embedding, which is looked up and not multiplied, stays at 16 bits.
      case INT8 -> model.parameters() + (long) model.vocabularySize() * model.hiddenSize();
      default -> 2 * model.parameters();
    };
  }

  static void requireMemory(String what, long needed, long available, String device) {
    if (needed > available) {
      throw new SkippedException(
          String.format(
              Locale.ROOT,
              "%s would take %.1f GiB, %s has %.1f GiB free; -p layers=N keeps fewer layers,"
                  + " -p sequences=N and -p context=N take less KV cache",
              what,
              gibibytes(needed),
              device,
              gibibytes(available)));
    }
  }

  private static double gibibytes(long bytes) {
    return bytes / (double) (1L << 30);
  }
}
