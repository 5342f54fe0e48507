package dev.weir.scheduling.policy;

import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import java.util.List;
import java.util.Set;

/**
 * Makes {@code mcsf}, a clairvoyant upper bound: admits a request when the memory fits at every
 * future completion, given the true output lengths (arXiv 2502.07115). Not a competitor: where the
 * true lengths are not known, as in a live engine, it takes the declared ones. Options:
 *
 * <ul>
 *   <li>{@code order} ({@code fcfs}, the default, or {@code shortest}, the paper's own): who is
 *       first in line.
 * </ul>
 */
public final class McsfFactory implements SchedulerFactory {
  @Override
  public String name() {
    return "mcsf";
  }

  @Override
  public String description() {
    return "clairvoyant: admits when the memory fits at every future completion, given the true"
        + " output lengths; never evicts";
  }

  @Override
  public Scheduler create(SchedulerConfig config) {
    config.options().rejectUnknown(name(), Set.of("order"));
    String order = config.options().getChoice("order", List.of("fcfs", "shortest"));
    return new McsfScheduler(
        config.memory(),
        config.limits(),
        order.equals("fcfs") ? McsfScheduler.Order.ARRIVAL : McsfScheduler.Order.SHORTEST);
  }
}
