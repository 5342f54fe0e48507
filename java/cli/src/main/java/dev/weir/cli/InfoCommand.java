package dev.weir.cli;

import dev.weir.cli.report.Format;
import dev.weir.runtime.Device;
import dev.weir.runtime.DeviceInfo;
import dev.weir.runtime.DeviceKind;
import dev.weir.runtime.DeviceOptions;
import dev.weir.runtime.DeviceUnavailableException;
import dev.weir.runtime.Model;
import dev.weir.runtime.ModelInfo;
import dev.weir.runtime.Precision;
import dev.weir.runtime.UnsupportedException;
import dev.weir.runtime.WeirLibrary;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.Schedulers;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code weir info}: what is here, and what a model takes. */
@Command(
    name = "info",
    mixinStandardHelpOptions = true,
    versionProvider = VersionProvider.class,
    sortOptions = false,
    abbreviateSynopsis = true,
    header = "Shows version, devices and schedulers, and what a model takes.",
    description = {
      "",
      "Shows version, native library, devices and schedulers; for a model also its shape, what it"
          + " takes of the CPU's memory, and how many requests a KV pool holds.",
      ""
    },
    footer = {
      "",
      "Examples:",
      "  weir info",
      "  weir info --model models/llama-2-7b --random-weights --kv-bytes 40GiB --tokens 2048"
    })
final class InfoCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = {"-m", "--model"},
      paramLabel = "DIR",
      description = "Folder with config.json and *.safetensors.")
  private Path model;

  @Mixin private WeightsArguments weights;
  @Mixin private PrecisionArguments precision;
  @Mixin private CacheArguments cache;

  @Option(
      names = "--tokens",
      paramLabel = "N",
      description =
          "Tokens of a request, prompt and output, for the number of requests that the KV"
              + " pool holds (default: the model's context).")
  private Integer tokens;

  @Option(names = "--json", description = "Print one JSON object.")
  private boolean json;

  @Override
  public Integer call() {
    OptionCheck check = new OptionCheck(spec.commandLine());
    check.atLeast("--layers", weights.layerLimit(), 0);
    cache.check(check);
    List<DeviceEntry> devices = devices();
    Info info =
        new Info(
            VersionProvider.version(),
            Runtime.version().toString(),
            new Library(
                WeirLibrary.version(), WeirLibrary.abiVersion(), WeirLibrary.path().toString()),
            devices,
            Schedulers.all().stream().map(InfoCommand::describe).toList(),
            model == null ? null : describeModel(precisionOf(devices)));
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(Json.line(info));
    } else {
      print(out, info);
    }
    return 0;
  }

  private List<DeviceEntry> devices() {
    List<DeviceEntry> devices = new ArrayList<>();
    for (DeviceKind kind : DeviceKind.values()) {
      DeviceOptions options = DeviceOptions.of(kind);
      if (kind == DeviceKind.CPU) {
        options = options.withPrecision(precision.precision());
      }
      try (Device device = Device.open(options)) {
        devices.add(new DeviceEntry(DeviceName.of(kind), true, null, device.info()));
      } catch (DeviceUnavailableException | UnsupportedException e) {
        devices.add(new DeviceEntry(DeviceName.of(kind), false, e.getMessage(), null));
      }
    }
    return devices;
  }

  /** Of the CPU. One that this processor lacks can still be planned for. */
  private Precision precisionOf(List<DeviceEntry> devices) {
    return precision.precision() != Precision.DEFAULT
        ? precision.precision()
        : devices.stream()
            .filter(DeviceEntry::available)
            .map(DeviceEntry::info)
            .filter(info -> info.kind() == DeviceKind.CPU)
            .findFirst()
            .orElseThrow()
            .precision();
  }

  private static SchedulerEntry describe(SchedulerFactory factory) {
    return new SchedulerEntry(factory.name(), factory.description());
  }

  private ModelEntry describeModel(Precision precision) {
    ModelInfo shape = Model.inspect(model, weights.modelOptions()).inPrecision(precision);
    int length = tokens == null ? shape.contextLength() : tokens;
    if (length < 1 || length > shape.contextLength()) {
      throw new ParameterException(
          spec.commandLine(),
          "--tokens is " + length + ", must be in 1.." + shape.contextLength() + " (the context)");
    }
    long blockBytes = shape.kvBytesPerToken() * cache.blockSize();
    Long blocks = cache.bytes() == null ? cache.blocks() : Long.valueOf(cache.bytes() / blockBytes);
    Pool pool = null;
    if (blocks != null) {
      if (blocks < 1) {
        throw new ParameterException(
            spec.commandLine(),
            "--kv-bytes is "
                + cache.bytes()
                + ", must be at least "
                + blockBytes
                + ", the size of a block of "
                + cache.blockSize()
                + " tokens");
      }
      if (blocks > Long.MAX_VALUE / blockBytes) {
        throw new ParameterException(
            spec.commandLine(),
            "--kv-blocks is "
                + blocks
                + ", must be at most "
                + Long.MAX_VALUE / blockBytes
                + ": a block takes "
                + blockBytes
                + " bytes");
      }
      KvCapacity memory = new KvCapacity(blocks, cache.blockSize(), cache.swapBlocks());
      pool =
          new Pool(
              blocks,
              cache.blockSize(),
              blocks * blockBytes,
              memory.tokens(),
              length,
              blocks / memory.blocksFor(length));
    }
    return new ModelEntry(
        model.toString(),
        shape,
        weights.randomWeights(),
        precision,
        WeightMemory.bytes(shape, precision),
        pool);
  }

  private static void print(PrintWriter out, Info info) {
    out.println("weir        " + info.version() + ", Java " + info.java());
    out.println(
        "native      " + info.nativeLibrary().version() + ", " + info.nativeLibrary().path());
    out.println();
    out.println("devices");
    for (DeviceEntry device : info.devices()) {
      out.printf(
          "  %-14s %s%n",
          device.name(),
          device.available() ? describe(device.info()) : "not available: " + device.reason());
    }
    out.println();
    out.println("schedulers");
    for (SchedulerEntry scheduler : info.schedulers()) {
      out.printf("  %-14s %s%n", scheduler.name(), scheduler.description());
    }
    if (info.model() != null) {
      out.println();
      print(out, info.model());
    }
  }

  private static String describe(DeviceInfo device) {
    return device.name()
        + ", "
        + PrecisionName.of(device.precision())
        + ", "
        + device.threads()
        + (device.threads() == 1 ? " thread" : " threads")
        + ", matrices by "
        + device.matmul()
        + ", "
        + Format.bytes(device.memoryAvailable())
        + " of "
        + Format.bytes(device.memoryTotal())
        + " free";
  }

  private static void print(PrintWriter out, ModelEntry entry) {
    ModelInfo shape = entry.shape();
    out.println("model         " + entry.folder());
    line(out, "precision", PrecisionName.of(entry.precision()) + " (--precision)");
    line(out, "parameters", Format.count(shape.parameters()));
    line(
        out,
        "weights",
        (entry.randomWeights() ? "" : Format.bytes(shape.weightBytes()) + " in the files, ")
            + "about "
            + Format.bytes(entry.weightMemoryBytes())
            + " in memory");
    line(out, "layers", Format.count(shape.layers()));
    line(
        out,
        "attention",
        shape.heads() + " heads of " + shape.headSize() + ", " + shape.kvHeads() + " for KV");
    line(
        out,
        "width",
        Format.count(shape.hiddenSize())
            + ", feed-forward "
            + Format.count(shape.intermediateSize()));
    line(
        out,
        "vocabulary",
        Format.count(shape.vocabularySize()) + (shape.tiedEmbeddings() ? ", tied" : ""));
    line(out, "context", Format.count(shape.contextLength()) + " tokens");
    line(out, "KV a token", Format.bytes(shape.kvBytesPerToken()));
    Pool pool = entry.kvPool();
    if (pool != null) {
      line(
          out,
          "KV pool",
          Format.count(pool.blocks())
              + " blocks of "
              + pool.blockSize()
              + " tokens = "
              + Format.count(pool.tokens())
              + " tokens, "
              + Format.bytes(pool.bytes()));
      line(
          out,
          "concurrency",
          "at most "
              + Format.count(pool.requests())
              + " requests of "
              + Format.count(pool.tokensPerRequest())
              + " tokens");
    }
  }

  private static void line(PrintWriter out, String label, String value) {
    out.printf("  %-11s %s%n", label, value);
  }

  record Info(
      String version,
      String java,
      Library nativeLibrary,
      List<DeviceEntry> devices,
      List<SchedulerEntry> schedulers,
      ModelEntry model) {}

  record Library(String version, int abiVersion, String path) {}

  record DeviceEntry(String name, boolean available, String reason, DeviceInfo info) {}

  record SchedulerEntry(String name, String description) {}

  /**
   * @param precision what shape.kvBytesPerToken, weightMemoryBytes and kvPool are for
   */
  record ModelEntry(
      String folder,
      ModelInfo shape,
      boolean randomWeights,
      Precision precision,
      long weightMemoryBytes,
      Pool kvPool) {}

  record Pool(
      long blocks, int blockSize, long bytes, long tokens, int tokensPerRequest, long requests) {}
}
