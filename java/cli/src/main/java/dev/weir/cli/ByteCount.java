package dev.weir.cli;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * Reads a number of bytes, with a binary unit if wanted: {@code 65536}, {@code 512M}, {@code 2GiB}.
 */
final class ByteCount implements ITypeConverter<Long> {
  private static final Pattern SYNTAX =
      Pattern.compile("(\\d{1,18})(?:([KMGT])(?:i?B)?)?", Pattern.CASE_INSENSITIVE);
  private static final String UNITS = "KMGT";

  @Override
  public Long convert(String text) {
    Matcher matcher = SYNTAX.matcher(text);
    if (!matcher.matches()) {
      throw new TypeConversionException(
          "'" + text + "' is no number of bytes; write for example 65536, 512M or 2GiB");
    }
    long bytes = Long.parseLong(matcher.group(1));
    int shift =
        matcher.group(2) == null
            ? 0
            : 10 * (UNITS.indexOf(Character.toUpperCase(matcher.group(2).charAt(0))) + 1);
    if (bytes > Long.MAX_VALUE >> shift) {
      throw new TypeConversionException("'" + text + "' is more than " + Long.MAX_VALUE + " bytes");
    }
    return bytes << shift;
  }
}
