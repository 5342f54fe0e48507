package dev.weir.cli;

import dev.weir.runtime.DeviceInfo;
import dev.weir.runtime.DeviceKind;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * Reads and writes devices as users do: {@code cpu}, {@code cpu-reference}, {@code cuda}, {@code
 * cuda:1}.
 */
final class DeviceName implements ITypeConverter<DeviceName.Place> {
  private static final Pattern SYNTAX = Pattern.compile("([a-z-]+)(?::(\\d{1,4}))?");

  /**
   * @param ordinal which device of that kind
   */
  record Place(DeviceKind kind, int ordinal) {}

  static String of(DeviceKind kind) {
    return kind.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  static String of(DeviceInfo device) {
    String kind = of(device.kind());
    return device.kind() == DeviceKind.CUDA ? kind + ":" + device.ordinal() : kind;
  }

  @Override
  public Place convert(String text) {
    Matcher matcher = SYNTAX.matcher(text);
    if (matcher.matches()) {
      for (DeviceKind kind : DeviceKind.values()) {
        String ordinal = matcher.group(2);
        if (of(kind).equals(matcher.group(1)) && (ordinal == null || kind == DeviceKind.CUDA)) {
          return new Place(kind, ordinal == null ? 0 : Integer.parseInt(ordinal));
        }
      }
    }
    throw new TypeConversionException(
        "'"
            + text
            + "' is no device; there are cpu, cpu-reference, cuda, and cuda:N for the GPU"
            + " number N, from 0");
  }
}
