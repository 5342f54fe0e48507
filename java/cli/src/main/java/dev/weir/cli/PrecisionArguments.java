package dev.weir.cli;

import dev.weir.runtime.Precision;
import picocli.CommandLine.Option;

/** Options that say which numbers a device computes with. */
final class PrecisionArguments {
  @Option(
      names = "--precision",
      paramLabel = "NAME",
      converter = PrecisionName.class,
      defaultValue = "default",
      description =
          "Numbers to compute with. cpu: fp32, bf16, int8, or default, which is bf16 where the"
              + " processor has AVX-512 BF16 and fp32 elsewhere. cuda: fp16 (the default there) or"
              + " bf16 (default: ${DEFAULT-VALUE}).")
  private Precision precision;

  @Option(
      names = "--kv-precision",
      paramLabel = "NAME",
      converter = PrecisionName.class,
      defaultValue = "default",
      description =
          "Numbers that keys and values are kept in: default, as the model computes; on cuda also"
              + " fp16, bf16, int8 or fp8 (default: ${DEFAULT-VALUE}).")
  private Precision kvPrecision;

  Precision precision() {
    return precision;
  }

  Precision kvPrecision() {
    return kvPrecision;
  }
}
