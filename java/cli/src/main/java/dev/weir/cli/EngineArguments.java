package dev.weir.cli;

import dev.weir.engine.EngineOptions;
import dev.weir.runtime.Device;
import dev.weir.runtime.DeviceInfo;
import dev.weir.runtime.DeviceOptions;
import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.Preemption;
import java.nio.file.Path;
import java.time.Duration;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * Options of every command that starts an engine, apart from the model and the scheduler's name.
 */
final class EngineArguments {
  /** A year. */
  private static final double LONGEST_NANOS = 365 * 86_400e9;

  @Mixin private DeviceArguments device;
  @Mixin private WeightsArguments weights;
  @Mixin private CacheArguments cache;

  @Mixin private PreemptionArguments preemption;
  @Mixin private BatchArguments batch;

  @Option(
      names = "--step-timeout",
      paramLabel = "SECONDS",
      description =
          "Fail if the device does not return from an iteration for so long; 0 for never (default:"
              + " 60 on cuda, never on the CPU).")
  private Double stepTimeout;

  /** Refuses values that are wrong for every model, device and scheduler. */
  void check(OptionCheck check) {
    device.check(check);
    check.atLeast("--layers", weights.layerLimit(), 0);
    cache.check(check);
    batch.check(check);
    if (stepTimeout != null) {
      check.notNegative("--step-timeout", stepTimeout);
    }
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
    if (stepTimeout != null) {
      builder.stepTimeout(Duration.ofNanos((long) Math.min(stepTimeout * 1e9, LONGEST_NANOS)));
    }
    return builder;
  }
}
