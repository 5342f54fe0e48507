package dev.weir.cli.report;

import com.github.freva.asciitable.AsciiTable;
import com.github.freva.asciitable.Column;
import com.github.freva.asciitable.HorizontalAlign;
import dev.weir.simulation.experiment.Cell;
import dev.weir.simulation.experiment.Estimate;
import dev.weir.simulation.experiment.ExperimentResult;
import dev.weir.simulation.experiment.Goal;
import dev.weir.simulation.experiment.Table;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Results of experiments as plain text. */
public final class ExperimentText {
  private static final String NONE = "-";
  private static final int TEXT_WIDTH = 100;
  private static final int SIGNIFICANT_DIGITS = 2;
  private static final int MOST_DECIMALS = 6;

  /** A half width that is smaller, relative to the mean, comes from rounding. */
  private static final double ROUNDING = 1e-9;

  private ExperimentText() {}

  /** Findings, tables and goals of one experiment. */
  public static String render(ExperimentResult result) {
    StringBuilder text = new StringBuilder();
    text.append(result.name()).append(": ").append(result.title()).append('\n');
    for (Table table : result.tables()) {
      if (table.detail()) {
        continue;
      }
      text.append('\n').append(table.title()).append('\n').append(render(table));
      if (!table.note().isEmpty()) {
        wrap(text, table.note());
      }
    }
    for (String finding : result.findings()) {
      text.append('\n');
      wrap(text, finding);
    }
    if (!result.goals().isEmpty()) {
      text.append('\n').append(goals(List.of(result)));
    }
    return text.toString();
  }

  /** A table of goals, a line each. */
  public static String goals(List<ExperimentResult> results) {
    Table.Builder table =
        Table.titled("goals", "Goals")
            .column("")
            .column("goal")
            .column("target")
            .column("measured")
            .column("experiment");
    for (ExperimentResult result : results) {
      for (Goal goal : result.goals()) {
        table.row(met(goal), goal.text(), target(goal), measured(goal), result.name());
      }
    }
    return render(table.build());
  }

  static String met(Goal goal) {
    return goal.met() ? "met" : "MISSED";
  }

  static String target(Goal goal) {
    String bound = goal.bound() == Goal.Bound.AT_LEAST ? "at least " : "at most ";
    return bound + withUnit(number(goal.target()), goal.unit());
  }

  static String measured(Goal goal) {
    String figure = withUnit(interval(goal.measured()), goal.unit());
    return goal.note().isEmpty() ? figure : figure + " (" + goal.note() + ")";
  }

  private static String withUnit(String figure, String unit) {
    return unit.isEmpty() || figure.equals(NONE) ? figure : figure + " " + unit;
  }

  private static String render(Table table) {
    Column[] columns = new Column[table.columns().size()];
    for (int i = 0; i < columns.length; i++) {
      HorizontalAlign align = words(table, i) ? HorizontalAlign.LEFT : HorizontalAlign.RIGHT;
      columns[i] =
          new Column()
              .header(table.columns().get(i).title())
              .headerAlign(align)
              .dataAlign(align)
              .maxWidth(TEXT_WIDTH);
    }
    String[][] cells =
        table.rows().stream()
            .map(row -> row.stream().map(ExperimentText::cell).toArray(String[]::new))
            .toArray(String[][]::new);
    return AsciiTable.getTable(
            AsciiTable.BASIC_ASCII_NO_DATA_SEPARATORS_NO_OUTSIDE_BORDER, columns, cells)
        + "\n";
  }

  /** Whether a column has nothing but words. */
  static boolean words(Table table, int column) {
    return table.rows().stream().allMatch(row -> row.get(column) instanceof Cell.Text);
  }

  static String cell(Cell cell) {
    return switch (cell) {
      case Cell.Text(String text) -> text;
      case Cell.Count(long value) -> Format.count(value);
      case Cell.Figure(double value) -> number(value);
      case Cell.Interval(Estimate estimate) -> interval(estimate);
    };
  }

  /** Mean and half width, both with as many decimals as the half width deserves. */
  static String interval(Estimate estimate) {
    double half = estimate.halfWidth();
    double magnitude = Math.abs(estimate.mean());
    if (!Double.isFinite(magnitude) || !Double.isFinite(half) || half <= ROUNDING * magnitude) {
      return number(estimate.mean());
    }
    long decimals = Math.max(0, SIGNIFICANT_DIGITS - 1 - (long) Math.floor(Math.log10(half)));
    if (decimals > MOST_DECIMALS) {
      return number(estimate.mean()) + String.format(Locale.ROOT, " ± %.1e", half);
    }
    String format = "%,." + decimals + "f";
    return String.format(Locale.ROOT, format + " ± " + format, estimate.mean(), half);
  }

  /** Three significant digits, or a power of ten for what is very small. */
  static String number(double value) {
    double magnitude = Math.abs(value);
    if (value == 0) {
      return "0";
    }
    if (magnitude >= 1 || !Double.isFinite(value)) {
      return Format.number(value);
    }
    if (magnitude < 1e-3) {
      return String.format(Locale.ROOT, "%.2e", value);
    }
    int decimals = 2 - (int) Math.floor(Math.log10(magnitude));
    return String.format(Locale.ROOT, "%." + decimals + "f", value);
  }

  private static void wrap(StringBuilder text, String paragraph) {
    List<String> line = new ArrayList<>();
    int length = 0;
    for (String word : paragraph.split(" ")) {
      if (length + word.length() + 1 > TEXT_WIDTH && !line.isEmpty()) {
        text.append(String.join(" ", line)).append('\n');
        line.clear();
        length = 0;
      }
      line.add(word);
      length += word.length() + 1;
    }
    text.append(String.join(" ", line)).append('\n');
  }
}
