package dev.weir.simulation.experiment;

/**
 * Something that was to be reached.
 *
 * @param text the goal in words, with where it was measured
 * @param bound which side of the target is good
 * @param target in {@code unit}
 * @param measured in {@code unit}; a mean of NaN is a goal that could not be measured, and missed
 * @param unit such as {@code %}; empty if there is none
 * @param note where the figure comes from, such as the worst of several workloads
 */
public record Goal(
    String text, Bound bound, double target, Estimate measured, String unit, String note) {
  /** Which side of the target is good. */
  public enum Bound {
    /** The target or more. */
    AT_LEAST,
    /** The target or less. */
    AT_MOST
  }

  /** Reached with the target or more. */
  public static Goal atLeast(
      String text, double target, Estimate measured, String unit, String note) {
    return new Goal(text, Bound.AT_LEAST, target, measured, unit, note);
  }

  /** Reached with the target or less. */
  public static Goal atMost(
      String text, double target, Estimate measured, String unit, String note) {
    return new Goal(text, Bound.AT_MOST, target, measured, unit, note);
  }

  /** Whether the mean is on the good side; the confidence interval is shown, not used. */
  public boolean met() {
    return bound == Bound.AT_LEAST ? measured.mean() >= target : measured.mean() <= target;
  }
}
