package dev.weir.scheduling.policy;

import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import java.util.Set;

/**
 * Makes {@code capped-fcfs}: {@code fcfs} with a cap on the requests that run at the same time,
 * found by trying many on the workload itself. Cheap, and hard to beat as long as the workload
 * stays what it was. Options:
 *
 * <ul>
 *   <li>{@code cap} (required, at least 1): the most requests that run at the same time; one above
 *       the batch limit {@code maxSequences} changes nothing. The best one for a workload is found
 *       by {@code dev.weir.simulation.experiment.CapSearch};
 *   <li>{@code watermark} (0..1, default 0): the share of the pool that an admission must leave
 *       free.
 * </ul>
 */
public final class CappedFcfsFactory implements SchedulerFactory {
  @Override
  public String name() {
    return "capped-fcfs";
  }

  @Override
  public String description() {
    return "fcfs with a cap on concurrent requests, chosen by grid search on the workload";
  }

  @Override
  public Scheduler create(SchedulerConfig config) {
    config.options().rejectUnknown(name(), Set.of("cap", "watermark"));
    int limit = config.limits().maxSequences();
    if (!config.options().has("cap")) {
      throw new IllegalArgumentException(
          "scheduler '"
              + name()
              + "' needs the option cap, the most requests that run at the same time (1.."
              + limit
              + "); dev.weir.simulation.experiment.CapSearch finds the best one for a workload by trying"
              + " them");
    }
    return new FcfsScheduler(
        config.memory(),
        config.options().getDouble("watermark", 0, 0, 1),
        Math.min(limit, config.options().getInt("cap", limit, 1, Integer.MAX_VALUE)));
  }
}
