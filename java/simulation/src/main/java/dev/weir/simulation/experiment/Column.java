package dev.weir.simulation.experiment;

/**
 * A column of a {@link Table}.
 *
 * @param name what is in it
 * @param unit of its figures, such as {@code ms} or {@code %}; empty if they have none
 */
public record Column(String name, String unit) {
  /** Name and unit. */
  public String title() {
    return unit.isEmpty() ? name : name + ", " + unit;
  }
}
