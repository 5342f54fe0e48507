package dev.weir.scheduling.policy;

import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import java.util.Set;

/**
 * Makes {@code fcfs}, the baseline: what vLLM V1 does. Option {@code watermark} (0..1, default 0)
 * is the share of the pool that an admission must leave free.
 */
public final class FcfsFactory implements SchedulerFactory {
  @Override
  public String name() {
    return "fcfs";
  }

  @Override
  public String description() {
    return "first come first served in mixed batches with chunked prefill; evicts the most recently"
        + " admitted on overflow";
  }

  @Override
  public Scheduler create(SchedulerConfig config) {
    config.options().rejectUnknown(name(), Set.of("watermark"));
    return new FcfsScheduler(
        config.memory(),
        config.options().getDouble("watermark", 0, 0, 1),
        config.limits().maxSequences());
  }
}
