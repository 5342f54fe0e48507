package dev.weir.benchmarks;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * The raw page of a report of Nsight Compute: a line for each launch that was profiled, a column
 * for each metric, in base units (nanoseconds, bytes).
 *
 * @param kernels that took longest altogether first
 * @param unreadable lines that were no launch
 */
record KernelCounters(List<Kernel> kernels, int unreadable) {
  private static final String DURATION = "gpu__time_duration.sum";
  private static final String READ = "dram__bytes_read.sum";
  private static final String WRITTEN = "dram__bytes_write.sum";
  private static final String MEMORY = "dram__throughput.avg.pct_of_peak_sustained_elapsed";
  private static final String COMPUTE = "sm__throughput.avg.pct_of_peak_sustained_elapsed";
  private static final String WARPS = "sm__warps_active.avg.pct_of_peak_sustained_active";
  private static final String REGISTERS = "launch__registers_per_thread";

  /** What is collected beside the sections that were asked for. */
  static final List<String> METRICS =
      List.of(DURATION, READ, WRITTEN, MEMORY, COMPUTE, WARPS, REGISTERS);

  private static final int SHOWN_NAME = 80;

  /**
   * The means over the launches of a kernel; NaN where the report does not say.
   *
   * @param name of the kernel with its template arguments
   * @param launches that were profiled
   * @param meanNanoseconds of a launch
   * @param bytes that a launch moved between the device's memory and the L2 cache
   * @param memory per cent of the peak of the device's memory
   * @param compute per cent of the peak of the multiprocessors' busiest part
   * @param warps per cent of the warps that a multiprocessor can hold
   * @param registers of a thread
   */
  record Kernel(
      String name,
      int launches,
      double meanNanoseconds,
      double bytes,
      double memory,
      double compute,
      double warps,
      double registers) {
    /** Bytes a second. */
    double bandwidth() {
      return bytes / meanNanoseconds * 1e9;
    }
  }

  /** One launch: its kernel and the values of {@link #METRICS}. */
  private record Launch(String name, double[] values) {}

  /**
   * Reads the page. Lines before the header, the line of units and lines that are no launches are
   * passed over; all but the units are counted.
   *
   * @throws IOException if the file cannot be read or is larger than 64 MiB
   */
  static KernelCounters read(Path csv) throws IOException {
    Map<String, List<Launch>> launches = new LinkedHashMap<>();
    int[][] columns = new int[1][];
    int[] names = {-1};
    int others =
        ReportCsv.read(
            csv,
            line -> {
              if (columns[0] == null) {
                names[0] = ReportCsv.index(line, Set.of("Kernel Name"));
                if (names[0] < 0 || ReportCsv.index(line, Set.of(DURATION)) < 0) {
                  return false;
                }
                columns[0] =
                    METRICS.stream()
                        .mapToInt(metric -> ReportCsv.index(line, Set.of(metric)))
                        .toArray();
                return true;
              }
              String name = ReportCsv.text(line, names[0]);
              if (name.isEmpty()) {
                // The units, which stand below the header.
                return launches.isEmpty();
              }
              double[] values = new double[METRICS.size()];
              for (int i = 0; i < values.length; i++) {
                values[i] = ReportCsv.number(line, columns[0][i]);
              }
              if (!(values[0] > 0)) {
                return false;
              }
              launches.computeIfAbsent(name, n -> new ArrayList<>()).add(new Launch(name, values));
              return true;
            });
    return new KernelCounters(
        launches.values().stream()
            .map(KernelCounters::mean)
            .sorted(
                Comparator.comparingDouble(
                        (Kernel kernel) -> kernel.meanNanoseconds() * kernel.launches())
                    .reversed())
            .toList(),
        others);
  }

  private static Kernel mean(List<Launch> launches) {
    double[] means = new double[METRICS.size()];
    for (int i = 0; i < means.length; i++) {
      int metric = i;
      means[i] =
          launches.stream().mapToDouble(l -> l.values()[metric]).average().orElse(Double.NaN);
    }
    return new Kernel(
        launches.getFirst().name(),
        launches.size(),
        means[0],
        means[1] + means[2],
        means[3],
        means[4],
        means[5],
        means[6]);
  }

  /** The first {@code top} kernels as lines of text. */
  String text(int top) {
    StringBuilder text =
        new StringBuilder(
            String.format(
                Locale.ROOT,
                "  %8s %11s %9s %9s %9s %8s %6s  %s%n",
                "launches",
                "mean us",
                "GB/s",
                "memory %",
                "compute %",
                "warps %",
                "regs",
                "name"));
    for (Kernel kernel : kernels.subList(0, Math.min(top, kernels.size()))) {
      String name = kernel.name();
      text.append(
          String.format(
              Locale.ROOT,
              "  %8d %11.3f %9s %9s %9s %8s %6s  %s%n",
              kernel.launches(),
              kernel.meanNanoseconds() / 1e3,
              number(kernel.bandwidth() / 1e9, 0),
              number(kernel.memory(), 1),
              number(kernel.compute(), 1),
              number(kernel.warps(), 1),
              number(kernel.registers(), 0),
              name.length() <= SHOWN_NAME ? name : name.substring(0, SHOWN_NAME - 1) + "…"));
    }
    if (kernels.size() > top) {
      text.append("  ").append(kernels.size() - top).append(" more\n");
    }
    if (unreadable > 0) {
      text.append("  (").append(unreadable).append(" lines could not be read)\n");
    }
    return text.toString();
  }

  private static String number(double value, int digits) {
    return Double.isNaN(value) ? "" : String.format(Locale.ROOT, "%." + digits + "f", value);
  }
}
