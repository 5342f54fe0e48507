package dev.weir.scheduling.policy;

import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.fluid.FluidModel;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Set;

/**
 * Makes {@code mcsf}, a clairvoyant upper bound: admits a request when the memory fits at every
 * future completion, given the true output lengths (arXiv 2502.07115). Not a competitor: where the
 * true lengths are not known, as in a live engine, it takes the declared ones. Options:
 *
 * <ul>
 *   <li>{@code order} ({@code fcfs}, the default, or {@code shortest}, the paper's own): who is
 *       first in line;
 *   <li>{@code pace} (default 0, none): admissions an iteration, relative to those that fill the
 *       pool in the equilibrium of the fluid model, with the work of a request from the declared
 *       workload, or else of those that have arrived.
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
    config.options().rejectUnknown(name(), Set.of("order", "pace"));
    String order = config.options().getChoice("order", List.of("fcfs", "shortest"));
    OptionalDouble work =
        config
            .workload()
            .map(w -> OptionalDouble.of(FluidModel.of(w, config.cost(), config.memory()).work()))
            .orElse(OptionalDouble.empty());
    return new McsfScheduler(
        config.memory(),
        config.limits(),
        order.equals("fcfs") ? McsfScheduler.Order.ARRIVAL : McsfScheduler.Order.SHORTEST,
        config.options().getDouble("pace", 0, 0, 1e6),
        work);
  }
}
