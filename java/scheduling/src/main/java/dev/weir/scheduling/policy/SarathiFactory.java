package dev.weir.scheduling.policy;

import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.SchedulerOptions;
import java.util.Set;

/**
 * Makes {@code sarathi}, the baseline: stall-free batching with chunked prefill (Agrawal et al.,
 * arXiv 2403.02310). Options:
 *
 * <ul>
 *   <li>{@code chunk} (default 512): tokens of an iteration up to which prefill may fill it;
 *   <li>{@code watermark} (0..1, default 0.01): share of the pool that an admission must leave
 *       free, rounded down to whole blocks;
 *   <li>{@code semantics} ({@code weir} or {@code vidur}): see the README of the simulation.
 * </ul>
 */
public final class SarathiFactory implements SchedulerFactory {
  @Override
  public String name() {
    return "sarathi";
  }

  @Override
  public String description() {
    return "decodes first, then prefill in chunks up to a token budget; evicts the most recently"
        + " admitted on overflow";
  }

  @Override
  public Scheduler create(SchedulerConfig config) {
    SchedulerOptions options = config.options();
    options.rejectUnknown(name(), Set.of("chunk", "watermark", "semantics"));
    return new SarathiScheduler(
        config.memory(),
        config.limits(),
        options.getInt("chunk", 512, 1, Integer.MAX_VALUE),
        options.getDouble("watermark", 0.01, 0, 1),
        Semantics.of(name(), config));
  }
}
