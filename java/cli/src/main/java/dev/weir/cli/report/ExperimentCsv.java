package dev.weir.cli.report;

import de.siegmar.fastcsv.writer.CsvWriter;
import dev.weir.simulation.experiment.Cell;
import dev.weir.simulation.experiment.Column;
import dev.weir.simulation.experiment.Estimate;
import dev.weir.simulation.experiment.ExperimentResult;
import dev.weir.simulation.experiment.Goal;
import dev.weir.simulation.experiment.Plot;
import dev.weir.simulation.experiment.Setting;
import dev.weir.simulation.experiment.Table;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Results of experiments as CSV files, with all digits: one for each table and plot, one of the
 * settings and one of the goals. A column of intervals is followed by one of their half widths; a
 * figure that does not exist is empty.
 */
public final class ExperimentCsv {
  private ExperimentCsv() {}

  /**
   * Writes the tables, plots and settings of a result, named after the experiment.
   *
   * @param folder must exist
   * @return the files
   */
  public static List<Path> write(Path folder, ExperimentResult result) throws IOException {
    List<Path> files = new ArrayList<>();
    for (Table table : result.tables()) {
      Path file = folder.resolve(result.name() + "-" + table.id() + ".csv");
      write(file, table);
      files.add(file);
    }
    for (Plot plot : result.plots()) {
      Path file = folder.resolve(result.name() + "-plot-" + plot.id() + ".csv");
      write(file, plot);
      files.add(file);
    }
    Path settings = folder.resolve(result.name() + "-settings.csv");
    try (CsvWriter csv = CsvWriter.builder().build(settings)) {
      csv.writeRecord("setting", "value");
      for (Setting setting : result.settings()) {
        csv.writeRecord(setting.label(), setting.value());
      }
    }
    files.add(settings);
    return files;
  }

  /** Writes the goals of several experiments into one file. */
  public static void writeGoals(Path file, List<ExperimentResult> results) throws IOException {
    try (CsvWriter csv = CsvWriter.builder().build(file)) {
      csv.writeRecord(
          "experiment", "goal", "bound", "target", "measured", "ci95", "unit", "met", "note");
      for (ExperimentResult result : results) {
        for (Goal goal : result.goals()) {
          csv.writeRecord(
              result.name(),
              goal.text(),
              goal.bound() == Goal.Bound.AT_LEAST ? "at least" : "at most",
              number(goal.target()),
              number(goal.measured().mean()),
              number(goal.measured().halfWidth()),
              goal.unit(),
              Boolean.toString(goal.met()),
              goal.note());
        }
      }
    }
  }

  private static void write(Path file, Table table) throws IOException {
    List<Column> columns = table.columns();
    boolean[] intervals = new boolean[columns.size()];
    for (int i = 0; i < intervals.length; i++) {
      int column = i;
      intervals[i] =
          table.rows().stream().anyMatch(row -> row.get(column) instanceof Cell.Interval);
    }
    try (CsvWriter csv = CsvWriter.builder().build(file)) {
      csv.writeRecord(
          IntStream.range(0, intervals.length)
              .boxed()
              .flatMap(
                  i -> {
                    String title = columns.get(i).title();
                    return (intervals[i] ? List.of(title, title + " ci95") : List.of(title))
                        .stream();
                  })
              .toList());
      for (List<Cell> row : table.rows()) {
        List<String> fields = new ArrayList<>();
        for (int i = 0; i < intervals.length; i++) {
          switch (row.get(i)) {
            case Cell.Text(String text) -> fields.add(text);
            case Cell.Count(long value) -> fields.add(Long.toString(value));
            case Cell.Figure(double value) -> fields.add(number(value));
            case Cell.Interval(Estimate estimate) -> {
              fields.add(number(estimate.mean()));
              fields.add(number(estimate.halfWidth()));
              continue;
            }
          }
          if (intervals[i]) {
            fields.add("");
          }
        }
        csv.writeRecord(fields);
      }
    }
  }

  private static void write(Path file, Plot plot) throws IOException {
    try (CsvWriter csv = CsvWriter.builder().build(file)) {
      csv.writeRecord("series", plot.x().label(), plot.y().label(), "ci95");
      for (Plot.Series series : plot.series()) {
        for (Plot.Point point : series.points()) {
          csv.writeRecord(
              series.name(), number(point.x()), number(point.y()), number(point.error()));
        }
      }
    }
  }

  private static String number(double value) {
    return Double.isNaN(value) ? "" : Double.toString(value);
  }
}
