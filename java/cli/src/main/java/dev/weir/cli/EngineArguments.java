package dev.weir.cli;

import dev.weir.engine.EngineOptions;
import dev.weir.runtime.Device;
import dev.weir.runtime.DeviceInfo;
import dev.weir.runtime.DeviceKind;
import dev.weir.runtime.DeviceOptions;
import dev.weir.scheduling.Preemption;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * Options of every command that starts an engine, apart from the model and the scheduler's name.
 */
final class EngineArguments {
  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      converter = DeviceName.class,
      defaultValue = "cpu",
      description = "cpu, cpu-reference (plain loops, slow) or cuda (default: ${DEFAULT-VALUE}).")
  private DeviceKind device;

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "0",
      description = "Threads of the CPU (default: as many as there are).")
  private int threads;

  @Mixin private WeightsArguments weights;
  @Mixin private CacheArguments cache;

  @Option(
      names = "--scheduler-option",
      paramLabel = "NAME=VALUE",
      description = "Setting of the scheduler; can be given several times.")
  private Map<String, String> schedulerOptions = new LinkedHashMap<>();

  @Option(
      names = "--preemption",
      paramLabel = "HOW",
      defaultValue = "recompute",
      description =
          "What happens to the KV blocks of an evicted request: recompute or swap (default:"
              + " ${DEFAULT-VALUE}).")
  private Preemption preemption;

  @Option(
      names = "--max-sequences",
      paramLabel = "N",
      defaultValue = "256",
      description = "Sequences in one iteration (default: ${DEFAULT-VALUE}).")
  private int maxSequences;

  @Option(
      names = "--max-batch-tokens",
      paramLabel = "N",
      defaultValue = "2048",
      description = "Tokens in one iteration (default: ${DEFAULT-VALUE}).")
  private int maxBatchTokens;

  /** Refuses values that are wrong for every model, device and scheduler. */
  void check(OptionCheck check) {
    check.atLeast("--threads", threads, 0);
    check.atLeast("--layers", weights.layerLimit(), 0);
    cache.check(check);
    check.atLeast("--max-sequences", maxSequences, 1);
    check.atLeast("--max-batch-tokens", maxBatchTokens, 1);
    if (preemption == Preemption.SWAP && cache.swapBlocks() == 0) {
      throw check.refused("--preemption swap needs swap space: --swap-blocks is 0");
    }
  }

  /** Opens the device for a moment. */
  DeviceInfo describeDevice() {
    try (Device opened = Device.open(new DeviceOptions(device, 0, threads))) {
      return opened.info();
    }
  }

  CacheArguments cache() {
    return cache;
  }

  WeightsArguments weights() {
    return weights;
  }

  int maxSequences() {
    return maxSequences;
  }

  int maxBatchTokens() {
    return maxBatchTokens;
  }

  Preemption preemption() {
    return preemption;
  }

  Map<String, String> schedulerOptions() {
    return schedulerOptions;
  }

  EngineOptions.Builder builder(Path model) {
    EngineOptions.Builder builder =
        EngineOptions.builder(model)
            .device(device)
            .threads(threads)
            .blockSize(cache.blockSize())
            .swapBlocks(cache.swapBlocks())
            .schedulerOptions(schedulerOptions)
            .preemption(preemption)
            .maxSequences(maxSequences)
            .maxBatchTokens(maxBatchTokens)
            .layerLimit(weights.layerLimit());
    if (weights.randomWeights()) {
      builder.randomWeights(0);
    }
    if (cache.blocks() != null) {
      builder.kvBlocks(cache.blocks());
    } else if (cache.bytes() != null) {
      builder.kvBytes(cache.bytes());
    }
    return builder;
  }
}
