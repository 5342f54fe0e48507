package dev.weir.testkit;

import dev.weir.scheduling.Request;
import dev.weir.scheduling.Scheduler;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;

/**
 * A load that looks at the scheduler's gauges while it is served. Those that are 0 before anything
 * arrives and never anything but whole numbers count requests or blocks, unless their name says
 * that they never go down.
 */
final class GaugeWatch implements Arrivals {
  /** Plans between two looks. */
  private static final int INTERVAL = 97;

  private final Arrivals load;
  private final Scheduler scheduler;
  private final Set<String> counts = new HashSet<>();
  private int lastLook;

  /**
   * @param scheduler fresh
   */
  GaugeWatch(Arrivals load, Scheduler scheduler) {
    this.load = load;
    this.scheduler = scheduler;
    scheduler.gauges(
        (name, value) -> {
          if (value == 0 && !name.endsWith("_total")) {
            counts.add(name);
          }
        });
  }

  @Override
  public VirtualDriver.Job next(double now, int alive, int iteration) {
    if (iteration - lastLook >= INTERVAL) {
      lastLook = iteration;
      scheduler.gauges(
          (name, value) -> {
            if (!(Math.rint(value) == value)) {
              counts.remove(name);
            }
          });
    }
    return load.next(now, alive, iteration);
  }

  @Override
  public double nextTime(double now, int alive) {
    return load.nextTime(now, alive);
  }

  @Override
  public boolean exhausted() {
    return load.exhausted();
  }

  @Override
  public void departed(Request request) {
    load.departed(request);
  }

  /** A count that is not back at zero, when nobody is left. */
  Optional<String> leftOver() {
    StringBuilder found = new StringBuilder();
    scheduler.gauges(
        (name, value) -> {
          if (counts.contains(name) && value != 0 && Math.rint(value) == value) {
            found.append(found.isEmpty() ? "" : ", ").append(name).append(" is ").append(value);
          }
        });
    return found.isEmpty() ? Optional.empty() : Optional.of(found.toString());
  }
}
