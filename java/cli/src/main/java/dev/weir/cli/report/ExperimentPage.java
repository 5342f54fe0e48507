package dev.weir.cli.report;

import dev.weir.simulation.experiment.Cell;
import dev.weir.simulation.experiment.Column;
import dev.weir.simulation.experiment.ExperimentResult;
import dev.weir.simulation.experiment.Goal;
import dev.weir.simulation.experiment.Plot;
import dev.weir.simulation.experiment.Setting;
import dev.weir.simulation.experiment.Table;
import java.util.List;
import java.util.stream.IntStream;

/** Results of experiments as one HTML page that needs nothing else. */
public final class ExperimentPage {
  private ExperimentPage() {}

  /**
   * The whole page.
   *
   * @param facts what holds for all experiments: version, seeds, scale, data
   */
  public static String render(List<ExperimentResult> results, List<Fact> facts) {
    long goals = results.stream().mapToLong(result -> result.goals().size()).sum();
    long met =
        results.stream().flatMap(result -> result.goals().stream()).filter(Goal::met).count();
    String lead = "Simulated in virtual time: the same schedulers as in the live engine.";
    return render(
        results, goals == 0 ? lead : lead + " " + met + " of " + goals + " goals met.", facts);
  }

  /**
   * The whole page.
   *
   * @param lead one paragraph
   * @param facts what holds for all results
   */
  public static String render(List<ExperimentResult> results, String lead, List<Fact> facts) {
    return HtmlPage.render(
        "experiments.html",
        new Page(
            results.size() == 1 ? results.getFirst().title() : "Experiments",
            lead,
            facts,
            results.stream()
                .flatMap(result -> result.goals().stream().map(goal -> goal(result, goal)))
                .toList(),
            results.stream().map(ExperimentPage::section).toList()));
  }

  private static GoalLine goal(ExperimentResult result, Goal goal) {
    return new GoalLine(
        result.name(),
        goal.text(),
        ExperimentText.target(goal),
        ExperimentText.measured(goal),
        goal.met());
  }

  private static Section section(ExperimentResult result) {
    return new Section(
        result.name(),
        result.title(),
        result.question(),
        result.findings(),
        result.plots().stream().map(ExperimentPage::chart).toList(),
        result.tables().stream().map(ExperimentPage::lines).toList(),
        result.settings());
  }

  private static Lines lines(Table table) {
    return new Lines(
        table.title(),
        table.note(),
        table.detail(),
        table.columns().stream().map(Column::title).toList(),
        IntStream.range(0, table.columns().size())
            .mapToObj(column -> ExperimentText.words(table, column))
            .toList(),
        table.rows().stream().map(row -> row.stream().map(ExperimentPage::text).toList()).toList());
  }

  private static String text(Cell cell) {
    return ExperimentText.cell(cell);
  }

  private static Chart chart(Plot plot) {
    return new Chart(
        plot.title(),
        plot.note(),
        plot.x(),
        plot.y(),
        plot.series().stream()
            .map(
                series ->
                    new Line(
                        series.name(),
                        series.style() == Plot.Style.LINE,
                        series.points().stream().map(ExperimentPage::point).toList()))
            .toList(),
        plot.markers().stream()
            .map(
                marker ->
                    new Rule(
                        marker.orientation() == Plot.Orientation.VERTICAL,
                        marker.at(),
                        marker.label()))
            .toList());
  }

  /** As JSON has no NaN, what does not exist is left out or null. */
  private static Double[] point(Plot.Point point) {
    return Double.isFinite(point.error())
        ? new Double[] {point.x(), finite(point.y()), point.error()}
        : new Double[] {point.x(), finite(point.y())};
  }

  private static Double finite(double value) {
    return Double.isFinite(value) ? value : null;
  }

  // What the page's script reads.

  private record Page(
      String title,
      String lead,
      List<Fact> facts,
      List<GoalLine> goals,
      List<Section> experiments) {}

  private record GoalLine(
      String experiment, String text, String target, String measured, boolean met) {}

  private record Section(
      String name,
      String title,
      List<String> question,
      List<String> findings,
      List<Chart> plots,
      List<Lines> tables,
      List<Setting> settings) {}

  private record Lines(
      String title,
      String note,
      boolean detail,
      List<String> columns,
      List<Boolean> words,
      List<List<String>> rows) {}

  private record Chart(
      String title, String note, Plot.Axis x, Plot.Axis y, List<Line> series, List<Rule> markers) {}

  private record Line(String name, boolean joined, List<Double[]> points) {}

  private record Rule(boolean vertical, double at, String label) {}
}
