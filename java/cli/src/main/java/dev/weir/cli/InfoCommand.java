package dev.weir.cli;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import dev.weir.cli.report.Format;
import dev.weir.engine.Engine;
import dev.weir.engine.EngineOptions;
import dev.weir.runtime.Device;
import dev.weir.runtime.DeviceInfo;
import dev.weir.runtime.DeviceKind;
import dev.weir.runtime.DeviceMemoryException;
import dev.weir.runtime.DeviceOptions;
import dev.weir.runtime.DeviceUnavailableException;
import dev.weir.runtime.MemoryPlan;
import dev.weir.runtime.Model;
import dev.weir.runtime.ModelInfo;
import dev.weir.runtime.Precision;
import dev.weir.runtime.UnsupportedException;
import dev.weir.runtime.WeirLibrary;
import dev.weir.runtime.gpu.Gpu;
import dev.weir.runtime.gpu.GpuMonitor;
import dev.weir.runtime.gpu.GpuMonitorException;
import dev.weir.runtime.gpu.GpuReading;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.Schedulers;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
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
          + " would take of the device's memory, line by line, and how many requests the KV pool"
          + " holds. Nothing is loaded for that.",
      ""
    },
    footer = {
      "",
      "Examples:",
      "  weir info",
      "  weir info --model models/llama-2-7b --random-weights --kv-bytes 40GiB --context 2048",
      "  weir info --model DIR --device cuda --kv-precision fp8"
    })
final class InfoCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = {"-m", "--model"},
      paramLabel = "DIR",
      description = "Folder with config.json and *.safetensors.")
  private Path model;

  @Mixin private EngineArguments engineArguments;

  @Option(
      names = "--context",
      paramLabel = "N",
      description =
          "Tokens of a request, prompt and output, for the largest batch that the KV pool holds"
              + " (default: the model's context).")
  private Integer context;

  @Option(names = "--json", description = "Print one JSON object.")
  private boolean json;

  @Override
  public Integer call() {
    engineArguments.check(new OptionCheck(spec.commandLine()));
    List<DeviceEntry> devices = devices();
    Info info =
        new Info(
            VersionProvider.version(),
            Runtime.version().toString(),
            new Library(
                WeirLibrary.version(), WeirLibrary.abiVersion(), WeirLibrary.path().toString()),
            devices,
            monitor(devices),
            Schedulers.all().stream().map(InfoCommand::describe).toList(),
            model == null ? null : describeModel());
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
      DeviceEntry first = open(kind, 0);
      devices.add(first);
      for (int ordinal = 1; kind == DeviceKind.CUDA && devices.getLast().available(); ordinal++) {
        devices.add(open(kind, ordinal));
      }
      if (!devices.getLast().available() && devices.getLast() != first) {
        devices.removeLast();
      }
    }
    return devices;
  }

  /** As the options say, if it is the device that they are about. */
  private DeviceEntry open(DeviceKind kind, int ordinal) {
    DeviceOptions asked = engineArguments.device();
    DeviceOptions options =
        asked.kind() == kind ? asked.withOrdinal(ordinal) : DeviceOptions.of(kind);
    try (Device device = Device.open(options.withOrdinal(ordinal))) {
      return new DeviceEntry(DeviceName.of(device.info()), true, null, device.info());
    } catch (DeviceUnavailableException | UnsupportedException e) {
      return new DeviceEntry(DeviceName.of(kind), false, e.getMessage(), null);
    }
  }

  private static Monitor monitor(List<DeviceEntry> devices) {
    try (GpuMonitor monitor = GpuMonitor.open()) {
      List<GpuEntry> gpus = new ArrayList<>();
      for (Gpu gpu : monitor.gpus()) {
        gpus.add(new GpuEntry(gpu, cudaDevice(monitor, gpu, devices), monitor.read(gpu)));
      }
      return new Monitor(
          true,
          monitor.driverTooOld().orElse(null),
          monitor.driverVersion(),
          monitor.cudaVersion(),
          gpus);
    } catch (GpuMonitorException e) {
      return new Monitor(false, e.getMessage(), null, null, List.of());
    }
  }

  private static String cudaDevice(GpuMonitor monitor, Gpu gpu, List<DeviceEntry> devices) {
    return devices.stream()
        .filter(device -> device.available() && device.info().kind() == DeviceKind.CUDA)
        .filter(device -> monitor.find(device.info().pciBusId()).equals(Optional.of(gpu)))
        .map(DeviceEntry::name)
        .findFirst()
        .orElse(null);
  }

  private static SchedulerEntry describe(SchedulerFactory factory) {
    return new SchedulerEntry(factory.name(), factory.description());
  }

  private ModelEntry describeModel() {
    ModelInfo shape = Model.inspect(model, engineArguments.weights().modelOptions());
    int length = context == null ? shape.contextLength() : context;
    if (length < 1 || length > shape.contextLength()) {
      throw new ParameterException(
          spec.commandLine(),
          "--context is "
              + length
              + ", must be in 1.."
              + shape.contextLength()
              + " (the model's context)");
    }
    EngineOptions options = engineArguments.builder(model).maxTopLogProbabilities(0).build();
    DeviceInfo device = engineArguments.describeDevice();
    MemoryPlan plan = Engine.planMemory(options);
    String complaint = null;
    try {
      Engine.checkFits(options, plan);
    } catch (DeviceMemoryException e) {
      complaint = OptionCheck.namingOptions(e.getMessage());
    }
    return new ModelEntry(
        model.toString(),
        shape,
        options.randomWeights(),
        DeviceName.of(device),
        device.precision(),
        options.kvPrecision(),
        new Memory(
            plan,
            plan.otherUsers(),
            options.maxSequences(),
            options.maxBatchTokens(),
            plan.kvTokens(),
            length,
            plan.largestBatch(length),
            complaint == null,
            complaint));
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
    print(out, info.gpuMonitor());
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

  private static void print(PrintWriter out, Monitor monitor) {
    out.println();
    out.println("GPUs by the driver");
    if (monitor.available()) {
      line(out, "driver", monitor.driverVersion() + ", for CUDA up to " + monitor.cudaVersion());
    }
    if (monitor.reason() != null) {
      line(out, monitor.available() ? "too old" : "none", monitor.reason());
    }
    for (GpuEntry entry : monitor.gpus()) {
      line(
          out,
          entry.cudaDevice() == null ? "no device" : entry.cudaDevice(),
          entry.gpu().name()
              + ", PCI "
              + entry.gpu().pciBusId()
              + ": "
              + GpuText.of(entry.reading()));
    }
  }

  private static String describe(DeviceInfo device) {
    return DeviceText.describe(device)
        + ", "
        + Format.bytes(device.memoryAvailable())
        + " of "
        + Format.bytes(device.memoryTotal())
        + " free";
  }

  private static void print(PrintWriter out, ModelEntry entry) {
    ModelInfo shape = entry.shape();
    out.println("model         " + entry.folder());
    line(out, "parameters", Format.count(shape.parameters()));
    if (!entry.randomWeights()) {
      line(out, "files", Format.bytes(shape.weightBytes()) + " of weights");
    }
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
    out.println();
    print(out, entry, entry.memory());
  }

  private static void print(PrintWriter out, ModelEntry entry, Memory memory) {
    MemoryPlan plan = memory.plan();
    out.println("memory of " + entry.device());
    line(
        out,
        "precision",
        PrecisionName.of(entry.precision())
            + " (--precision), KV "
            + (entry.kvPrecision() == Precision.DEFAULT
                ? "as the model computes"
                : PrecisionName.of(entry.kvPrecision()))
            + " (--kv-precision)");
    line(out, "total", Format.bytes(plan.deviceTotal()));
    line(out, "other users", Format.bytes(memory.otherUsers()));
    line(out, "weights", Format.bytes(plan.weights()));
    line(
        out,
        "workspace",
        Format.bytes(plan.workspace())
            + " for at most "
            + Format.count(memory.maxSequences())
            + " sequences and "
            + Format.count(memory.maxBatchTokens())
            + " tokens in an iteration (--max-sequences, --max-batch-tokens)");
    line(out, "graphs", Format.bytes(plan.graphs()));
    if (plan.swapBytes() > 0) {
      line(out, "swap", Format.bytes(plan.swapBytes()) + " on the host (--swap-blocks)");
    }
    line(
        out,
        "KV pool",
        Format.bytes(plan.kvBytes())
            + " of "
            + Format.bytes(plan.kvAvailable())
            + " that are left (--kv-blocks, --kv-bytes, --kv-rest)");
    line(
        out,
        "blocks",
        Format.count(plan.kvBlocks())
            + " of "
            + plan.blockSize()
            + " tokens, "
            + Format.bytes(plan.kvBlockBytes())
            + " each");
    line(out, "tokens", Format.count(memory.kvTokens()));
    line(
        out,
        "batch",
        "at most "
            + Format.count(memory.largestBatch())
            + " requests of "
            + Format.count(memory.context())
            + " tokens (--context)");
    if (!memory.fits()) {
      line(out, "DOES NOT FIT", memory.complaint());
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
      Monitor gpuMonitor,
      List<SchedulerEntry> schedulers,
      ModelEntry model) {}

  record Library(String version, int abiVersion, String path) {}

  record DeviceEntry(String name, boolean available, String reason, DeviceInfo info) {}

  /**
   * What NVML tells.
   *
   * @param reason why it is not available, or why its driver cannot be used
   */
  record Monitor(
      boolean available,
      String reason,
      String driverVersion,
      String cudaVersion,
      List<GpuEntry> gpus) {}

  /**
   * @param cudaDevice the device of {@code --device} that it is; null if it is none
   */
  record GpuEntry(Gpu gpu, String cudaDevice, GpuReading reading) {}

  record SchedulerEntry(String name, String description) {}

  /**
   * @param precision what the device computes in
   * @param kvPrecision as it was asked for
   * @param memory what an engine would take
   */
  record ModelEntry(
      String folder,
      ModelInfo shape,
      boolean randomWeights,
      String device,
      Precision precision,
      Precision kvPrecision,
      Memory memory) {}

  /**
   * @param context tokens of each request of {@code largestBatch}
   * @param complaint why it does not fit; null if it does
   */
  record Memory(
      @JsonUnwrapped MemoryPlan plan,
      long otherUsers,
      int maxSequences,
      int maxBatchTokens,
      long kvTokens,
      int context,
      long largestBatch,
      boolean fits,
      String complaint) {}
}
