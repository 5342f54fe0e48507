package dev.weir.cli;

import dev.weir.runtime.Precision;
import java.util.Locale;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads and writes precisions as users do: {@code default}, {@code fp32}, {@code bf16}. */
final class PrecisionName implements ITypeConverter<Precision> {
  static String of(Precision precision) {
    return precision.name().toLowerCase(Locale.ROOT);
  }

  @Override
  public Precision convert(String text) {
    for (Precision precision : Precision.values()) {
      if (of(precision).equals(text)) {
        return precision;
      }
    }
    throw new TypeConversionException(
        "'" + text + "' is no precision; there are default, fp32, bf16, int8, fp16 and fp8");
  }
}
