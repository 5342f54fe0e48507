package dev.weir.simulation.experiment;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Figures in rows and columns.
 *
 * @param id unique within the experiment, fit for a file name
 * @param title one line
 * @param note what a reader must know, possibly empty
 * @param columns at least one
 * @param rows each with a cell for each column
 * @param detail whether it is for looking something up: in the files, but not printed
 */
public record Table(
    String id,
    String title,
    String note,
    List<Column> columns,
    List<List<Cell>> rows,
    boolean detail) {
  /** Copies the lists and checks that every row is complete. */
  public Table {
    columns = List.copyOf(columns);
    rows = rows.stream().map(List::copyOf).toList();
    for (List<Cell> row : rows) {
      if (row.size() != columns.size()) {
        throw new IllegalArgumentException(
            "table '" + id + "' has " + columns.size() + " columns and a row " + row);
      }
    }
  }

  /** Begins a table. */
  public static Builder titled(String id, String title) {
    return new Builder(id, title);
  }

  /** Collects columns, then rows. */
  public static final class Builder {
    private final String id;
    private final String title;
    private String note = "";
    private boolean detail;
    private final List<Column> columns = new ArrayList<>();
    private final List<List<Cell>> rows = new ArrayList<>();

    private Builder(String id, String title) {
      this.id = id;
      this.title = title;
    }

    /** What a reader must know. */
    public Builder note(String text) {
      note = text;
      return this;
    }

    /** For looking something up: in the files, but not printed. */
    public Builder detail() {
      detail = true;
      return this;
    }

    /** A column of words or plain numbers. */
    public Builder column(String name) {
      return column(name, "");
    }

    /** A column of figures. */
    public Builder column(String name, String unit) {
      columns.add(new Column(name, unit));
      return this;
    }

    /** A row; its values are what {@link Cell#of} takes. */
    public Builder row(Object... values) {
      rows.add(Arrays.stream(values).map(Cell::of).toList());
      return this;
    }

    /** The table. */
    public Table build() {
      return new Table(id, title, note, columns, rows, detail);
    }
  }
}
