package dev.weir.cli;

import dev.weir.engine.EngineOptions;
import dev.weir.runtime.DeviceKind;
import dev.weir.runtime.DeviceOptions;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Options that say how the CPU computes. */
final class ProcessorArguments {
  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "0",
      description = "Threads of the CPU (default: as many as there are).")
  private int threads;

  @Option(
      names = "--pin-threads",
      description = "Keep each of them on a processor of its own, which other work should leave.")
  private boolean pinThreads;

  @Mixin private PrecisionArguments precision;

  @Option(
      names = "--deterministic",
      description =
          "Add up in a fixed order, so that no token depends on the other requests in its batch;"
              + " slow in fp32.")
  private boolean deterministic;

  /** Refuses values that no device takes. */
  void check(OptionCheck check) {
    check.atLeast("--threads", threads, 0);
  }

  DeviceOptions device(DeviceKind kind) {
    return new DeviceOptions(kind, 0, threads, precision.precision(), pinThreads, deterministic);
  }

  void applyTo(EngineOptions.Builder builder) {
    builder
        .threads(threads)
        .precision(precision.precision())
        .pinThreads(pinThreads)
        .deterministic(deterministic);
  }
}
