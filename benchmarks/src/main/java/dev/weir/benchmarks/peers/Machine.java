package dev.weir.benchmarks.peers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/** The machine that measures. Linux. */
final class Machine {
  private static final Set<String> NAMED_FEATURES =
      Set.of("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16");

  private Machine() {}

  /** Processor, its vector instructions, cores, memory. */
  static String text() {
    List<String> cpu = lines("/proc/cpuinfo");
    return value(cpu, "model name")
        + " (family "
        + value(cpu, "cpu family")
        + ", model "
        + value(cpu, "model")
        + ": "
        + String.join(
            " ",
            Arrays.stream(value(cpu, "flags").split(" "))
                .filter(NAMED_FEATURES::contains)
                .sorted()
                .toList())
        + "), "
        + Runtime.getRuntime().availableProcessors()
        + " cores, "
        + Long.parseLong(value(lines("/proc/meminfo"), "MemTotal").split(" ")[0]) / (1 << 20)
        + " GiB";
  }

  /** Mean number of runnable threads in the last minute. */
  static double load() {
    return ManagementFactory.getOperatingSystemMXBean().getSystemLoadAverage();
  }

  /** The first value of a key in a file of "key : value" lines; "unknown" if there is none. */
  private static String value(List<String> lines, String key) {
    return lines.stream()
        .map(line -> line.split(":", 2))
        .filter(parts -> parts.length == 2 && parts[0].strip().equals(key))
        .map(parts -> parts[1].strip())
        .findFirst()
        .orElse("unknown");
  }

  private static List<String> lines(String file) {
    try {
      return Files.readAllLines(Path.of(file));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
