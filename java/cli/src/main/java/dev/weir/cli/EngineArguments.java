package dev.weir.cli;

import dev.weir.engine.EngineOptions;
import dev.weir.runtime.Device;
import dev.weir.runtime.DeviceInfo;
import dev.weir.runtime.DeviceOptions;
import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.Preemption;
import java.nio.file.Path;
import picocli.CommandLine.Mixin;

/**
 * Options of every command that starts an engine, apart from the model and the scheduler's name.
 */
final class EngineArguments {
  @Mixin private DeviceArguments device;
  @Mixin private WeightsArguments weights;
  @Mixin private CacheArguments cache;

  @Mixin private PreemptionArguments preemption;
  @Mixin private BatchArguments batch;

  /** Refuses values that are wrong for every model, device and scheduler. */
  void check(OptionCheck check) {
    device.check(check);
    check.atLeast("--layers", weights.layerLimit(), 0);
    cache.check(check);
    batch.check(check);
    preemption.check(check, cache.swapBlocks());
  }

  /** Opens the device for a moment. */
  DeviceInfo describeDevice() {
    try (Device opened = Device.open(device.options())) {
      return opened.info();
    }
  }

  DeviceOptions device() {
    return device.options();
  }

  long swapBlocks() {
    return cache.swapBlocks();
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
            .preemption(preemption())
            .maxSequences(limits().maxSequences())
            .maxBatchTokens(limits().maxTokens())
            .layerLimit(weights.layerLimit());
    device.applyTo(builder);
    cache.applyTo(builder);
    if (weights.randomWeights()) {
      builder.randomWeights(0);
    }
    return builder;
  }
}
