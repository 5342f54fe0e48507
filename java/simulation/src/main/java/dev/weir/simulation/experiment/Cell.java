package dev.weir.simulation.experiment;

/** One field of a {@link Table}. */
public sealed interface Cell {
  /** Words. */
  record Text(String text) implements Cell {}

  /** A whole number. */
  record Count(long value) implements Cell {}

  /** A figure in the unit of its column; NaN if there is none. */
  record Figure(double value) implements Cell {}

  /** A mean with its confidence interval, in the unit of its column. */
  record Interval(Estimate estimate) implements Cell {}

  /**
   * The cell for a value.
   *
   * @param value a String, an Integer, a Long, a Double or an {@link Estimate}
   */
  static Cell of(Object value) {
    return switch (value) {
      case String text -> new Text(text);
      case Integer number -> new Count(number);
      case Long number -> new Count(number);
      case Double number -> new Figure(number);
      case Estimate estimate -> new Interval(estimate);
      default ->
          throw new IllegalArgumentException(
              "a cell is a String, an Integer, a Long, a Double or an Estimate, not "
                  + value.getClass());
    };
  }
}
