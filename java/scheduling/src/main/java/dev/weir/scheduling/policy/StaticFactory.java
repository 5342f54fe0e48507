package dev.weir.scheduling.policy;

import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.SchedulerOptions;
import java.util.Set;

/**
 * Makes {@code static}, the baseline: request-level batching as in FasterTransformer. Options:
 *
 * <ul>
 *   <li>{@code semantics} ({@code weir} or {@code vidur}): see the README of the simulation;
 *   <li>{@code requestTokens} (default 4096, with {@code semantics=vidur} only): tokens that every
 *       request reserves, however short it is.
 * </ul>
 */
public final class StaticFactory implements SchedulerFactory {
  @Override
  public String name() {
    return "static";
  }

  @Override
  public String description() {
    return "a batch runs until all of it ends; reserves the blocks of the longest output";
  }

  @Override
  public Scheduler create(SchedulerConfig config) {
    SchedulerOptions options = config.options();
    boolean vidur = Semantics.of(name(), config) == Semantics.VIDUR;
    options.rejectUnknown(
        name(), vidur ? Set.of("semantics", "requestTokens") : Set.of("semantics"));
    int reserved = vidur ? options.getInt("requestTokens", 4096, 1, Integer.MAX_VALUE) : 1;
    return new ReservingScheduler(
        config.memory(), config.limits(), ReservingScheduler.Joining.WHEN_ALL_ENDED, reserved);
  }
}
