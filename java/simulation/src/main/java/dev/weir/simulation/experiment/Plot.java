package dev.weir.simulation.experiment;

import java.util.List;

/**
 * A chart.
 *
 * @param id unique within the experiment, fit for a file name
 * @param title one line
 * @param note what a reader must know, possibly empty
 * @param x horizontal axis
 * @param y vertical axis
 * @param series what is drawn
 * @param markers straight lines across, such as the fluid limit
 */
public record Plot(
    String id,
    String title,
    String note,
    Axis x,
    Axis y,
    List<Series> series,
    List<Marker> markers) {
  /** Copies the lists. */
  public Plot {
    series = List.copyOf(series);
    markers = List.copyOf(markers);
  }

  /**
   * An axis.
   *
   * @param label what it shows, with the unit
   * @param logarithmic whether equal distances are equal ratios; points at or below 0 are then not
   *     drawn
   */
  public record Axis(String label, boolean logarithmic) {
    /** A linear one. */
    public static Axis linear(String label) {
      return new Axis(label, false);
    }

    /** A logarithmic one. */
    public static Axis logarithmic(String label) {
      return new Axis(label, true);
    }
  }

  /** How a series is drawn. */
  public enum Style {
    /** Points joined by a line. */
    LINE,
    /** Points only. */
    SCATTER
  }

  /**
   * Points of one kind.
   *
   * @param name for the legend
   * @param style how they are drawn
   * @param points in order of x for a line
   */
  public record Series(String name, Style style, List<Point> points) {
    /** Copies the list. */
    public Series {
      points = List.copyOf(points);
    }
  }

  /**
   * A point.
   *
   * @param x horizontal position
   * @param y vertical position; NaN interrupts a line
   * @param error half length of a vertical error bar; NaN for none
   */
  public record Point(double x, double y, double error) {
    /** Without an error bar. */
    public static Point of(double x, double y) {
      return new Point(x, y, Double.NaN);
    }

    /** With the confidence interval as error bar. */
    public static Point of(double x, Estimate y) {
      return new Point(x, y.mean(), y.halfWidth());
    }
  }

  /** Which axis a marker stands on. */
  public enum Orientation {
    /** At a value of x. */
    VERTICAL,
    /** At a value of y. */
    HORIZONTAL
  }

  /**
   * A straight line across the chart.
   *
   * @param orientation which axis it stands on
   * @param at where
   * @param label what it is
   */
  public record Marker(Orientation orientation, double at, String label) {}
}
