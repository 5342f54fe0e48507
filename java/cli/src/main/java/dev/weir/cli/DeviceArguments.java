package dev.weir.cli;

import dev.weir.engine.EngineOptions;
import dev.weir.runtime.DeviceOptions;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Options that say what computes, and how. */
final class DeviceArguments {
  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      converter = DeviceName.class,
      defaultValue = "cpu",
      description =
          "cpu, cpu-reference (plain loops, slow) or cuda, the first GPU; cuda:1 is the second"
              + " (default: ${DEFAULT-VALUE}).")
  private DeviceName.Place place;

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

  @Option(
      names = "--no-graphs",
      description = "Have a GPU launch every kernel, instead of replaying recorded graphs.")
  private boolean noGraphs;

  /** Refuses values that no device takes. */
  void check(OptionCheck check) {
    check.atLeast("--threads", threads, 0);
  }

  DeviceOptions options() {
    return new DeviceOptions(
        place.kind(),
        place.ordinal(),
        threads,
        precision.precision(),
        pinThreads,
        deterministic,
        !noGraphs);
  }

  void applyTo(EngineOptions.Builder builder) {
    builder
        .device(place.kind())
        .deviceOrdinal(place.ordinal())
        .threads(threads)
        .precision(precision.precision())
        .kvPrecision(precision.kvPrecision())
        .pinThreads(pinThreads)
        .deterministic(deterministic)
        .graphs(!noGraphs);
  }
}
