package dev.weir.scheduling.policy;

import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.SchedulerOptions;
import java.util.Set;

/**
 * Makes {@code headroom}: certified admission alone, without pace, segments and prefill tiles
 * ({@code scheduling.md} section 5). Options, as of {@link WeirFactory}: {@code z} (default 2),
 * {@code pace} (default 0, none), {@code burst}, {@code growthReserve}, {@code estimates} and
 * {@code memory}.
 */
public final class HeadroomFactory implements SchedulerFactory {
  private static final Set<String> OPTIONS =
      Set.of("z", "pace", "burst", "growthReserve", "estimates", "memory");

  @Override
  public String name() {
    return "headroom";
  }

  @Override
  public String description() {
    return "certified admission alone: a request enters if the memory that all are expected to"
        + " need, plus z standard deviations, fits at every horizon";
  }

  @Override
  public Scheduler create(SchedulerConfig config) {
    SchedulerOptions options = config.options();
    options.rejectUnknown(name(), OPTIONS);
    return new WeirScheduler(
        config,
        new WeirScheduler.Settings(
            options.getDouble("z", 2, -100, 100),
            options.getDouble("pace", 0, 0, 1e6),
            options.getDouble("burst", 8, 1, 1e6),
            1,
            1,
            options.getDouble("growthReserve", 0.02, 0, 1),
            0,
            0,
            WeirFactory.online(config),
            options.getDouble("memory", 2000, 1, 1e9)));
  }
}
