package dev.weir.cli.report;

import com.github.freva.asciitable.AsciiTable;
import com.github.freva.asciitable.Column;
import com.github.freva.asciitable.HorizontalAlign;
import dev.weir.scheduling.HoldReason;
import dev.weir.simulation.metrics.Metrics;
import dev.weir.simulation.metrics.Percentiles;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;

/** The figures of one or several runs of the same workload, a column each. */
public final class MetricsTable {
  /**
   * One line of the table.
   *
   * @param label what it is, with its unit
   * @param values one for each run
   * @param startsGroup whether a rule stands above it
   */
  public record Row(String label, List<String> values, boolean startsGroup) {}

  private MetricsTable() {}

  /** The lines of the table, for any kind of output. */
  public static List<Row> rows(List<Metrics> runs) {
    List<Row> rows = new ArrayList<>();
    rows.add(row("requests finished", runs, true, m -> m.finished() + " of " + m.requests()));
    if (runs.stream().anyMatch(m -> !m.refused().isEmpty())) {
      rows.add(row("requests refused", runs, false, m -> reasons(m.refused())));
    }
    if (runs.stream().anyMatch(m -> !m.unfinished().isEmpty())) {
      rows.add(row("requests not finished", runs, false, m -> reasons(m.unfinished())));
    }
    rows.add(row("requests clipped", runs, false, m -> Format.count(m.clipped())));
    rows.add(row("duration, s", runs, false, m -> Format.number(m.seconds())));
    rows.add(row("prompt tokens/s", runs, true, m -> Format.number(m.promptTokensPerSecond())));
    rows.add(row("output tokens/s", runs, false, m -> Format.number(m.outputTokensPerSecond())));
    if (runs.stream().anyMatch(m -> !Double.isNaN(m.windowOutputTokensPerSecond()))) {
      rows.add(
          row(
              "output tokens/s while requests arrive",
              runs,
              false,
              m -> Format.number(m.windowOutputTokensPerSecond())));
    }
    rows.add(row("requests/s", runs, false, m -> Format.number(m.requestsPerSecond())));
    if (runs.stream().anyMatch(m -> m.backlog().isPresent())) {
      rows.add(row("requests in the system grow, 1/s", runs, false, MetricsTable::growth));
    }
    addLatency(rows, "TTFT", runs, Metrics::timeToFirstToken);
    addLatency(rows, "TPOT", runs, Metrics::timePerOutputToken);
    addLatency(rows, "ITL", runs, Metrics::interTokenLatency);
    addLatency(rows, "E2E", runs, Metrics::endToEnd);
    rows.add(row("evictions", runs, true, m -> Format.count(m.evictions())));
    if (runs.stream().anyMatch(m -> !m.holds().isEmpty())) {
      rows.add(row("requests held back, each iteration", runs, false, m -> holds(m.holds())));
    }
    rows.add(
        row(
            "recomputed tokens (of useful ones)",
            runs,
            false,
            m ->
                Format.count(m.recomputedTokens())
                    + " ("
                    + Format.percent(m.recomputedShare())
                    + ")"));
    rows.add(
        row(
            "KV use mean / peak",
            runs,
            false,
            m -> Format.percent(m.kvMean()) + " / " + Format.percent(m.kvPeak())));
    rows.add(row("iterations", runs, false, m -> Format.count(m.iterations())));
    rows.add(row("idle share", runs, false, m -> Format.percent(m.idleShare())));
    return rows;
  }

  /**
   * The table as text.
   *
   * @param names one for each run
   */
  public static String render(List<String> names, List<Metrics> runs) {
    return text("", names, rows(runs));
  }

  /**
   * Any rows as text.
   *
   * @param corner heading of the labels
   * @param names headings of the values
   */
  public static String text(String corner, List<String> names, List<Row> rows) {
    Column[] columns = new Column[names.size() + 1];
    columns[0] = new Column().header(corner).dataAlign(HorizontalAlign.LEFT);
    for (int i = 0; i < names.size(); i++) {
      columns[i + 1] =
          new Column()
              .header(names.get(i))
              .headerAlign(HorizontalAlign.RIGHT)
              .dataAlign(HorizontalAlign.RIGHT)
              .maxWidth(60);
    }
    String[][] cells = new String[rows.size()][];
    for (int i = 0; i < cells.length; i++) {
      List<String> line = new ArrayList<>(rows.get(i).values());
      line.addFirst(rows.get(i).label());
      cells[i] = line.toArray(String[]::new);
    }
    return AsciiTable.getTable(
        AsciiTable.BASIC_ASCII_NO_DATA_SEPARATORS_NO_OUTSIDE_BORDER, columns, cells);
  }

  private static void addLatency(
      List<Row> rows, String name, List<Metrics> runs, Function<Metrics, Percentiles> latency) {
    rows.add(
        row(name + " mean, ms", runs, true, m -> Format.milliseconds(latency.apply(m).mean())));
    rows.add(
        row(
            name + " p50 / p90 / p99, ms",
            runs,
            false,
            m -> {
              Percentiles p = latency.apply(m);
              return Format.milliseconds(p.p50())
                  + " / "
                  + Format.milliseconds(p.p90())
                  + " / "
                  + Format.milliseconds(p.p99());
            }));
  }

  private static Row row(
      String label, List<Metrics> runs, boolean startsGroup, Function<Metrics, String> value) {
    return new Row(label, runs.stream().map(value).toList(), startsGroup);
  }

  /** Over the second half of the arrival window, with the judgement. */
  private static String growth(Metrics metrics) {
    return metrics
        .backlog()
        .map(
            trend -> {
              double arrivals = metrics.requests() / (2 * trend.seconds());
              String judgement = trend.stable(arrivals) ? "stable" : "unstable";
              return Format.number(trend.growth()) + " (" + judgement + ")";
            })
        .orElse("-");
  }

  /** How many, and the most frequent reason. */
  private static String holds(Map<HoldReason, Long> counts) {
    long all = counts.values().stream().mapToLong(Long::longValue).sum();
    return counts.entrySet().stream()
        .max(Map.Entry.comparingByValue())
        .map(
            most ->
                "%s (%s %s)"
                    .formatted(
                        Format.count(all),
                        Format.percent(most.getValue() / (double) all),
                        most.getKey()))
        .orElse("0");
  }

  private static String reasons(Map<String, Integer> counts) {
    return counts.isEmpty()
        ? "0"
        : counts.entrySet().stream()
            .map(entry -> entry.getValue() + " " + entry.getKey())
            .collect(Collectors.joining(", "));
  }
}
