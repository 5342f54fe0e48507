package dev.weir.testkit;

import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.SchedulerOptions;

/**
 * Who is examined, and how.
 *
 * @param clairvoyant whether requests tell their true length
 * @param load share of the fluid model's rate that must be sustained when lengths vary
 * @param tries random workloads
 * @param steps plans of the long run
 */
record Settings(
    SchedulerFactory factory,
    SchedulerOptions options,
    boolean clairvoyant,
    double load,
    int tries,
    int steps,
    long seed) {
  Settings withOptions(SchedulerOptions chosen) {
    return new Settings(factory, chosen, clairvoyant, load, tries, steps, seed);
  }

  Settings withTrueLengths() {
    return new Settings(factory, options, true, load, tries, steps, seed);
  }

  Settings withLoad(double share) {
    return new Settings(factory, options, clairvoyant, share, tries, steps, seed);
  }

  Settings withEffort(int workloads, int plans, long random) {
    return new Settings(factory, options, clairvoyant, load, workloads, plans, random);
  }
}
