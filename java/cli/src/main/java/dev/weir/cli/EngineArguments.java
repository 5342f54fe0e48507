package dev.weir.cli;

import dev.weir.engine.EngineOptions;
import dev.weir.runtime.Device;
import dev.weir.runtime.DeviceInfo;
import dev.weir.runtime.DeviceKind;
import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.Preemption;
import java.nio.file.Path;
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

  @Mixin private ProcessorArguments processor;
  @Mixin private WeightsArguments weights;
  @Mixin private CacheArguments cache;

  @Mixin private PreemptionArguments preemption;
  @Mixin private BatchArguments batch;

  /** Refuses values that are wrong for every model, device and scheduler. */
  void check(OptionCheck check) {
    processor.check(check);
    check.atLeast("--layers", weights.layerLimit(), 0);
    cache.check(check);
    batch.check(check);
    preemption.check(check, cache.swapBlocks());
  }

  /** Opens the device for a moment. */
  DeviceInfo describeDevice() {
    try (Device opened = Device.open(processor.device(device))) {
      return opened.info();
    }
  }

  CacheArguments cache() {
    return cache;
  }

  WeightsArguments weights() {
    return weights;
  }

  BatchLimits limits() {
    return batch.limits();
  }

  Preemption preemption() {
    return preemption.preemption();
  }

  EngineOptions.Builder builder(Path model) {
    EngineOptions.Builder builder =
        EngineOptions.builder(model)
            .device(device)
            .blockSize(cache.blockSize())
            .swapBlocks(cache.swapBlocks())
            .preemption(preemption())
            .maxSequences(limits().maxSequences())
            .maxBatchTokens(limits().maxTokens())
            .layerLimit(weights.layerLimit());
    processor.applyTo(builder);
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
