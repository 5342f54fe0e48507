package dev.weir.benchmarks.peers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * How much of the processors went to others while something was measured: to processes that neither
 * are this one nor were started by it, and to other virtual machines. Linux.
 */
final class OtherLoad {
  private static final Path MACHINE = Path.of("/proc/stat");
  private static final Path SELF = Path.of("/proc/self/stat");

  private final Times start;

  /**
   * Times since the start of the machine, in ticks.
   *
   * @param all of all processors
   * @param busy of all processors while they did not idle, or were taken away
   * @param own of this process and of those that it started and that have ended
   */
  record Times(long all, long busy, long own) {
    /** The part of the time from {@code start} to this that others had, 0 to 1. */
    double others(Times start) {
      long passed = all - start.all;
      long others = busy - start.busy - (own - start.own);
      return passed == 0 ? 0 : Math.max(0, (double) others / passed);
    }
  }

  private OtherLoad(Times start) {
    this.start = start;
  }

  static OtherLoad start() {
    return new OtherLoad(now());
  }

  /** The part of the processors' time since the start that others had, 0 to 1. */
  double share() {
    return now().others(start);
  }

  private static Times now() {
    try {
      return parse(Files.readString(MACHINE), Files.readString(SELF));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Reads the times.
   *
   * @param machine the text of /proc/stat, which begins with "cpu", user, nice, system, idle, wait
   *     for disks, two kinds of interrupts and time taken by the host
   * @param self the text of /proc/self/stat: user and system time of the process and of its
   *     children follow 11 fields after the closing bracket of its name
   */
  static Times parse(String machine, String self) {
    long[] times =
        Arrays.stream(machine.lines().findFirst().orElseThrow().split(" +"))
            .skip(1)
            .limit(8)
            .mapToLong(Long::parseLong)
            .toArray();
    long all = Arrays.stream(times).sum();
    long own =
        Arrays.stream(self.substring(self.lastIndexOf(')') + 2).split(" "))
            .skip(11)
            .limit(4)
            .mapToLong(Long::parseLong)
            .sum();
    return new Times(all, all - times[3] - times[4], own);
  }
}
