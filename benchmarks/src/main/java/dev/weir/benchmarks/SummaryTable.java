package dev.weir.benchmarks;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;

/**
 * A summary that {@code nsys stats} wrote: how long each kernel or each range took altogether.
 * Versions of nsys name the columns differently; a column is found by any of its names.
 *
 * @param rows largest total first
 * @param unreadable lines that were no row of the table
 */
record SummaryTable(List<Row> rows, int unreadable) {
  /** A kernel's name with its template arguments can be thousands of characters long. */
  private static final int SHOWN_NAME = 100;

  private static final Set<String> NAME = Set.of("Name", "Range");
  private static final Set<String> TOTAL = Set.of("Total Time (ns)", "Total Proj Time (ns)");
  private static final Set<String> COUNT = Set.of("Instances", "Range Instances");
  private static final Set<String> MINIMUM =
      Set.of("Min (ns)", "Minimum (ns)", "Minimum", "Proj Min (ns)");
  private static final Set<String> MAXIMUM =
      Set.of("Max (ns)", "Maximum (ns)", "Maximum", "Proj Max (ns)");

  /**
   * @param name of the kernel with its template arguments, or of the range
   * @param total nanoseconds of all instances
   * @param instances how often it ran
   * @param minimum nanoseconds of the shortest one; NaN if the summary does not say
   * @param maximum nanoseconds of the longest one; NaN if the summary does not say
   */
  record Row(String name, double total, long instances, double minimum, double maximum) {
    double mean() {
      return total / instances;
    }
  }

  SummaryTable {
    rows = rows.stream().sorted(Comparator.comparingDouble(Row::total).reversed()).toList();
  }

  /**
   * Reads a summary. Lines before the header, and lines that are no rows, are passed over and
   * counted.
   *
   * @throws IOException if the file cannot be read or is larger than 64 MiB
   */
  static SummaryTable read(Path csv) throws IOException {
    List<Row> rows = new ArrayList<>();
    Columns[] columns = new Columns[1];
    int unreadable =
        ReportCsv.read(
            csv,
            line -> {
              if (columns[0] == null) {
                columns[0] = Columns.of(line);
                return columns[0] != null;
              }
              Row row = columns[0].row(line);
              return row != null && rows.add(row);
            });
    return new SummaryTable(rows, unreadable);
  }

  /** Nanoseconds of all rows. */
  double total() {
    return rows.stream().mapToDouble(Row::total).sum();
  }

  /**
   * The sums of rows with the same label, largest first: kernels by {@link #baseName}, so that the
   * instantiations for several types count together.
   */
  Map<String, Double> totals(UnaryOperator<String> label) {
    Map<String, Double> totals = new HashMap<>();
    rows.forEach(row -> totals.merge(label.apply(row.name()), row.total(), Double::sum));
    Map<String, Double> sorted = new LinkedHashMap<>();
    totals.entrySet().stream()
        .sorted(Map.Entry.<String, Double>comparingByValue().reversed())
        .forEach(entry -> sorted.put(entry.getKey(), entry.getValue()));
    return sorted;
  }

  /**
   * The first {@code top} rows as lines of text.
   *
   * @param whole nanoseconds that shares are of
   */
  String text(int top, double whole) {
    StringBuilder text =
        new StringBuilder(
            String.format(
                Locale.ROOT,
                "  %7s %12s %10s %12s %12s %12s  %s%n",
                "share",
                "total ms",
                "count",
                "mean us",
                "min us",
                "max us",
                "name"));
    for (Row row : rows.subList(0, Math.min(top, rows.size()))) {
      text.append(
          String.format(
              Locale.ROOT,
              "  %5.1f %% %12.3f %10d %12.3f %12s %12s  %s%n",
              share(row.total(), whole),
              row.total() / 1e6,
              row.instances(),
              row.mean() / 1e3,
              micros(row.minimum()),
              micros(row.maximum()),
              shortened(row.name())));
    }
    if (rows.size() > top) {
      double rest = rows.stream().skip(top).mapToDouble(Row::total).sum();
      text.append(
          String.format(
              Locale.ROOT,
              "  %5.1f %% %12.3f %10s %12s %12s %12s  %d more%n",
              share(rest, whole),
              rest / 1e6,
              "",
              "",
              "",
              "",
              rows.size() - top));
    }
    if (unreadable > 0) {
      text.append("  (").append(unreadable).append(" lines could not be read)\n");
    }
    return text.toString();
  }

  /**
   * The name of a kernel without its return type, namespaces, template arguments and parameters:
   * {@code scale} of {@code void weir::scale<float, 128>(float*)}.
   */
  static String baseName(String name) {
    String base = name.replace("(anonymous namespace)::", "").replace("<unnamed>::", "");
    int arguments = firstOf(base, "<(");
    if (arguments > 0) {
      base = base.substring(0, arguments).strip();
      base = base.substring(base.lastIndexOf(' ') + 1);
      base = base.substring(base.lastIndexOf(':') + 1);
    }
    return base.isEmpty() ? name : base;
  }

  private static int firstOf(String text, String characters) {
    for (int i = 0; i < text.length(); i++) {
      if (characters.indexOf(text.charAt(i)) >= 0) {
        return i;
      }
    }
    return -1;
  }

  /** In per cent. */
  private static double share(double part, double whole) {
    return whole == 0 ? 0 : 100 * part / whole;
  }

  private static String micros(double nanoseconds) {
    return Double.isNaN(nanoseconds) ? "" : String.format(Locale.ROOT, "%.3f", nanoseconds / 1e3);
  }

  private static String shortened(String name) {
    return name.length() <= SHOWN_NAME ? name : name.substring(0, SHOWN_NAME - 1) + "…";
  }

  /** Where the columns are; -1 for one that is not there. */
  private record Columns(int name, int total, int count, int minimum, int maximum) {
    static Columns of(List<String> header) {
      Columns columns =
          new Columns(
              ReportCsv.index(header, NAME),
              ReportCsv.index(header, TOTAL),
              ReportCsv.index(header, COUNT),
              ReportCsv.index(header, MINIMUM),
              ReportCsv.index(header, MAXIMUM));
      return columns.name < 0 || columns.total < 0 || columns.count < 0 ? null : columns;
    }

    /** The row of a line; null if it has none. */
    Row row(List<String> fields) {
      String text = ReportCsv.text(fields, name);
      double nanoseconds = ReportCsv.number(fields, total);
      double instances = ReportCsv.number(fields, count);
      if (text.isEmpty()
          || !(nanoseconds >= 0)
          || !(instances >= 1 && instances <= Long.MAX_VALUE)
          || instances != Math.rint(instances)) {
        return null;
      }
      return new Row(
          text,
          nanoseconds,
          (long) instances,
          ReportCsv.number(fields, minimum),
          ReportCsv.number(fields, maximum));
    }
  }
}
