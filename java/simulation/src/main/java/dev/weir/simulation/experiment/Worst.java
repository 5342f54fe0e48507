package dev.weir.simulation.experiment;

import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * A figure that a goal is about, and where it was measured. A goal over several of them is decided
 * by the worst; one that was not measured (NaN) is worse than any other.
 *
 * @param figure what was measured
 * @param where in which case
 */
record Worst(Estimate figure, String where) {
  /** Nothing was measured. */
  static final Worst NONE = new Worst(Estimate.exactly(Double.NaN), "not measured");

  /** The least, for goals that ask for much; {@link #NONE} if there are none. */
  static Worst least(List<Worst> all) {
    return unmeasured(all)
        .or(() -> all.stream().min(Comparator.comparingDouble(each -> each.figure().mean())))
        .orElse(NONE);
  }

  /** The most, for goals that ask for little; {@link #NONE} if there are none. */
  static Worst most(List<Worst> all) {
    return unmeasured(all)
        .or(() -> all.stream().max(Comparator.comparingDouble(each -> each.figure().mean())))
        .orElse(NONE);
  }

  private static Optional<Worst> unmeasured(List<Worst> all) {
    return all.stream().filter(each -> Double.isNaN(each.figure().mean())).findFirst();
  }
}
