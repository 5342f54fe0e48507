package dev.weir.runtime;

import dev.weir.runtime.internal.ffi.NativeCall;
import dev.weir.runtime.internal.ffi.NativeModel;
import dev.weir.runtime.internal.ffi.NativeModelInfo;
import dev.weir.runtime.internal.ffi.NativeProgress;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;

/** A Llama-family model whose weights are on a device. Safe for use by many threads. */
public final class Model implements AutoCloseable {
  private final Device device;
  private final long handle;
  private final ModelInfo info;
  private final AtomicBoolean closed = new AtomicBoolean();

  private Model(Device device, long handle, ModelInfo info) {
    this.device = device;
    this.handle = handle;
    this.info = info;
  }

  /** As {@link #load(Device, Path, ModelOptions, LoadProgress)}, for nobody watching. */
  public static Model load(Device device, Path directory, ModelOptions options) {
    return load(device, directory, options, null);
  }

  /**
   * Loads a model in Hugging Face's layout: a folder with config.json (LlamaForCausalLM) and
   * *.safetensors (F32, F16 or BF16). Everything is checked before memory for weights is taken.
   * Blocks the calling thread until it is done.
   *
   * @param progress filled while the call runs; may be null
   * @throws ModelIoException if a file cannot be read
   * @throws InvalidModelException if a file is damaged or inconsistent
   * @throws UnsupportedException if the architecture or a number format is not supported
   * @throws DeviceMemoryException if the weights do not fit
   * @throws InvalidArgumentException if an option is out of range
   * @throws ClosedException if the device was closed
   */
  public static Model load(
      Device device, Path directory, ModelOptions options, LoadProgress progress) {
    Objects.requireNonNull(directory, "directory");
    Objects.requireNonNull(options, "options");
    NativeProgress reported = progress == null ? null : progress.progress();
    try (NativeCall call = new NativeCall()) {
      Status.check(
          NativeModel.load(
              call, device.handle(), directory.toString(), options.toNative(call), reported),
          call.error());
      long handle = call.result();
      boolean described = false;
      try {
        NativeModelInfo info = new NativeModelInfo(call);
        Status.check(NativeModel.describe(call, handle, info), call.error());
        Model model = new Model(device, handle, read(info));
        described = true;
        return model;
      } finally {
        if (!described) {
          NativeModel.close(call, handle);
        }
      }
    }
  }

  /**
   * Reads and checks config.json and the headers of the weight files without reading weights. With
   * random weights only config.json is read.
   *
   * @throws ModelIoException if a file cannot be read
   * @throws InvalidModelException if a file is damaged or inconsistent
   * @throws UnsupportedException if the architecture or a number format is not supported
   * @throws InvalidArgumentException if an option is out of range
   * @throws NativeLibraryException if the native library cannot be used
   */
  public static ModelInfo inspect(Path directory, ModelOptions options) {
    Objects.requireNonNull(directory, "directory");
    Objects.requireNonNull(options, "options");
    WeirLibrary.load();
    try (NativeCall call = new NativeCall()) {
      NativeModelInfo described = new NativeModelInfo(call);
      Status.check(
          NativeModel.inspect(call, directory.toString(), options.toNative(call), described),
          call.error());
      return read(described);
    }
  }

  /** The model's shape. Does not change. */
  public ModelInfo info() {
    handle();
    return info;
  }

  /** The device that the model was loaded onto, which may be closed meanwhile. */
  public Device device() {
    return device;
  }

  /** Caches that were created for the model stay usable until they are closed. */
  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      try (NativeCall call = new NativeCall()) {
        Status.check(NativeModel.close(call, handle), call.error());
      }
    }
  }

  int vocabularySize() {
    return info.vocabularySize();
  }

  long handle() {
    if (closed.get()) {
      throw new ClosedException("the model was closed");
    }
    return handle;
  }

  private static ModelInfo read(NativeModelInfo info) {
    int bos = info.bosToken();
    List<Integer> eos = IntStream.range(0, info.eosTokenCount()).mapToObj(info::eosToken).toList();
    return new ModelInfo(
        info.vocabularySize(),
        info.hiddenSize(),
        info.intermediateSize(),
        info.layers(),
        info.heads(),
        info.kvHeads(),
        info.headSize(),
        info.contextLength(),
        info.tiedEmbeddings() != 0,
        info.ropeTheta(),
        info.normEpsilon(),
        bos < 0 ? OptionalInt.empty() : OptionalInt.of(bos),
        eos,
        info.parameters(),
        info.weightBytes(),
        info.kvBytesPerToken());
  }
}
