package dev.weir.cli;

import dev.weir.runtime.Precision;
import picocli.CommandLine.Option;

/** The option that says which numbers the CPU computes with. */
final class PrecisionArguments {
  @Option(
      names = "--precision",
      paramLabel = "NAME",
      converter = PrecisionName.class,
      defaultValue = "default",
      description =
          "Numbers that the CPU computes with: fp32, bf16, int8, or default, which is bf16 where"
              + " the processor has AVX-512 BF16 and fp32 elsewhere (default: ${DEFAULT-VALUE}).")
  private Precision precision;

  Precision precision() {
    return precision;
  }
}
