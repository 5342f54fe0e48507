package dev.weir.cli;

import dev.weir.runtime.DeviceKind;
import java.util.Locale;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads and writes devices as users do: {@code cpu}, {@code cpu-reference}, {@code cuda}. */
final class DeviceName implements ITypeConverter<DeviceKind> {
  static String of(DeviceKind kind) {
    return kind.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  @Override
  public DeviceKind convert(String text) {
    for (DeviceKind kind : DeviceKind.values()) {
      if (of(kind).equals(text)) {
        return kind;
      }
    }
    throw new TypeConversionException(
        "'" + text + "' is no device; there are cpu, cpu-reference and cuda");
  }
}
