package dev.weir.runtime.gpu;

import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where a GPU is plugged in. NVML writes the domain with eight digits, CUDA with four, and they do
 * not agree on upper case.
 */
record PciAddress(int domain, int bus, int device) {
  private static final Pattern SYNTAX =
      Pattern.compile(
          "(\\p{XDigit}{1,8}):(\\p{XDigit}{1,2}):(\\p{XDigit}{1,2})(?:\\.\\p{XDigit})?");

  static Optional<PciAddress> parse(String text) {
    Matcher matcher = SYNTAX.matcher(text);
    if (!matcher.matches()) {
      return Optional.empty();
    }
    return Optional.of(
        new PciAddress(
            Integer.parseUnsignedInt(matcher.group(1), 16),
            Integer.parseInt(matcher.group(2), 16),
            Integer.parseInt(matcher.group(3), 16)));
  }

  @Override
  public String toString() {
    return String.format(Locale.ROOT, "%04x:%02x:%02x.0", domain, bus, device);
  }
}
