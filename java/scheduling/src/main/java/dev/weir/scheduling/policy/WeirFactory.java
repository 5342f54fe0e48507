package dev.weir.scheduling.policy;

import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.SchedulerOptions;
import java.util.List;
import java.util.Set;

/**
 * Makes {@code weir}, the default: certified admission, online estimates, pace and segments in one
 * policy ({@code scheduling.md} section 5). It needs no tuning. Options:
 *
 * <ul>
 *   <li>{@code z} (default 1.5): standard deviations between the expected memory and the pool that
 *       an admission must leave
 *   <li>{@code pace} (default 1.2): admissions an iteration, relative to those that fill the pool
 *       in equilibrium; 0 for no pace
 *   <li>{@code burst} (default 8): admissions that may be saved up
 *   <li>{@code segments} (default 3) and {@code slack} (default 1.5): segments of Nested WAIT, and
 *       their caps relative to the equilibrium
 *   <li>{@code growthReserve} (default 0.02): share of the pool that the youngest resident must
 *       leave free when it grows; older ones less, the oldest nothing
 *   <li>{@code prefillTile} (default 256): while memory is tight, prefill fills an iteration to a
 *       multiple of so many tokens; 0 for no tiles
 *   <li>{@code few} (default 40): a pool in which fewer requests run in equilibrium is small: there
 *       admission is bolder, and the youngest is evicted rather than many stall; 0 for never
 *   <li>{@code estimates} (default {@code online}): {@code frozen} keeps to the declared workload
 *   <li>{@code memory} (default 2000): requests that an estimate remembers
 * </ul>
 */
public final class WeirFactory implements SchedulerFactory {
  private static final Set<String> OPTIONS =
      Set.of(
          "z",
          "pace",
          "burst",
          "segments",
          "slack",
          "growthReserve",
          "prefillTile",
          "few",
          "estimates",
          "memory");

  @Override
  public String name() {
    return "weir";
  }

  @Override
  public String description() {
    return "the default: admission by a forecast of memory, learned while serving; paced, in"
        + " segments, and younger requests yield to older ones when memory runs out";
  }

  @Override
  public Scheduler create(SchedulerConfig config) {
    SchedulerOptions options = config.options();
    options.rejectUnknown(name(), OPTIONS);
    return new WeirScheduler(
        config,
        new WeirScheduler.Settings(
            options.getDouble("z", 1.5, -100, 100),
            options.getDouble("pace", 1.2, 0, 1e6),
            options.getDouble("burst", 8, 1, 1e6),
            options.getInt("segments", 3, 1, 100),
            options.getDouble("slack", 1.5, 1, 1e6),
            options.getDouble("growthReserve", 0.02, 0, 1),
            options.getInt("prefillTile", 256, 0, 1 << 20),
            options.getInt("few", 40, 0, 1 << 20),
            online(config),
            options.getDouble("memory", 2000, 1, 1e9)));
  }

  /** Whether the estimates follow what is seen; otherwise they need something to keep to. */
  static boolean online(SchedulerConfig config) {
    boolean online =
        config.options().getChoice("estimates", List.of("online", "frozen")).equals("online");
    if (!online && config.workload().isEmpty()) {
      throw new IllegalArgumentException(
          "scheduler option estimates=frozen needs a workload to be declared; there is none");
    }
    return online;
  }
}
