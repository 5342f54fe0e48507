package dev.weir.simulation.experiment;

import dev.weir.simulation.capacity.StableRegion;
import java.util.List;

/**
 * Lengths and a capacity that {@link StabilityExperiment} looks at.
 *
 * @param setup what serves
 * @param region what the fluid model says of it
 * @param loads arrivals, one for each seed
 * @param contenders who takes part
 * @param cap tuned cap of {@code capped-fcfs}
 */
record StabilityCase(
    ServingSetup setup, StableRegion region, List<Load> loads, Contenders contenders, int cap) {
  /** The capacity, as a column title. */
  String blocks() {
    return Texts.count(setup.memory().blocks()) + " blocks";
  }

  /** Lengths and capacity. */
  String title() {
    return setup.lengths().name() + ", " + blocks();
  }

  /** Fit for a file name. */
  String id() {
    return Texts.id(setup.lengths().name()) + "-" + setup.memory().blocks();
  }

  double fluidRate() {
    return region.sustainableRate();
  }
}
