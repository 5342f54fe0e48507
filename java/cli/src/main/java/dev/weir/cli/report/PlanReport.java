package dev.weir.cli.report;

import java.util.List;

/**
 * A capacity plan, ready to be shown.
 *
 * @param title one line
 * @param lead the advice
 * @param tiles the main figures
 * @param facts what was planned with
 * @param stability the chart of the stable region
 * @param memory what memory is used for, in the order in which it is stacked
 * @param memoryText one sentence about it
 * @param tables further figures
 */
public record PlanReport(
    String title,
    String lead,
    List<Fact> tiles,
    List<Fact> facts,
    StabilityChart stability,
    List<MemoryPart> memory,
    String memoryText,
    List<Table> tables) {
  /**
   * A part of the memory.
   *
   * @param label what it holds
   * @param bytes its size
   * @param text its size as people read it
   * @param colour name of a colour of the page's style
   */
  public record MemoryPart(String label, double bytes, String text, String colour) {}

  /**
   * A table.
   *
   * @param title what it shows
   * @param text one sentence about it
   * @param columns headings after the first column, which has none
   * @param rows its lines
   */
  public record Table(
      String title, String text, List<String> columns, List<MetricsTable.Row> rows) {}

  /** The whole page. */
  public String html() {
    return HtmlPage.render("plan.html", this);
  }
}
