package dev.weir.cli.report;

import dev.weir.simulation.metrics.Metrics;
import java.util.List;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;

/** A {@link Report} as one HTML page that needs nothing else. */
public final class HtmlReport {
  private HtmlReport() {}

  /** The whole page. */
  public static String render(Report report) {
    Page page =
        new Page(
            report.title(),
            report.lead(),
            tiles(report.metrics()),
            MetricsTable.rows(report.metrics()),
            report.facts(),
            report.metrics().getFirst().requests(),
            report.charts(),
            report.stability(),
            report.stories(),
            report.storiesNote());
    return HtmlPage.render("report.html", page);
  }

  private static List<Tile> tiles(List<Metrics> runs) {
    return List.of(
        tile("Output tokens/s", runs, false, Metrics::outputTokensPerSecond, Format::number),
        tile("Evictions", runs, true, Metrics::evictions, value -> Format.count((long) value)),
        tile("Recomputed tokens", runs, true, Metrics::recomputedShare, Format::percent),
        tile("TTFT p50, ms", runs, true, m -> m.timeToFirstToken().p50(), Format::milliseconds),
        tile("ITL p99, ms", runs, true, m -> m.interTokenLatency().p99(), Format::milliseconds),
        tile("E2E p50, ms", runs, true, m -> m.endToEnd().p50(), Format::milliseconds));
  }

  private interface DoubleText {
    String of(double value);
  }

  private static Tile tile(
      String label,
      List<Metrics> runs,
      boolean lessIsBetter,
      ToDoubleFunction<Metrics> value,
      DoubleText text) {
    int best = -1;
    if (runs.size() > 1 && runs.stream().mapToDouble(value).distinct().count() > 1) {
      for (int i = 0; i < runs.size(); i++) {
        double candidate = value.applyAsDouble(runs.get(i));
        double leader = best < 0 ? Double.NaN : value.applyAsDouble(runs.get(best));
        if (best < 0 || (lessIsBetter ? candidate < leader : candidate > leader)) {
          best = i;
        }
      }
    }
    Function<Metrics, String> cell = m -> text.of(value.applyAsDouble(m));
    return new Tile(label, runs.stream().map(cell).toList(), best);
  }

  // What the page's script reads.

  private record Page(
      String title,
      String lead,
      List<Tile> tiles,
      List<MetricsTable.Row> rows,
      List<Fact> facts,
      int requests,
      List<RunChart> runs,
      StabilityChart stability,
      List<Story> stories,
      String storiesNote) {}

  private record Tile(String label, List<String> values, int best) {}
}
