package dev.weir.scheduling.policy;

import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.SchedulerOptions;
import java.util.Set;

/**
 * Makes {@code orca}, the baseline: iteration-level batching with full-length reservation (Yu et
 * al., OSDI 2022). Prompts are prefilled whole: one that does not fit into what is left of the
 * token budget waits, unless it is longer than the whole budget. {@code reserve} is the same with
 * chunked prefill. Options:
 *
 * <ul>
 *   <li>{@code semantics} ({@code weir} or {@code vidur}): see the README of the simulation;
 *   <li>{@code requestTokens} (default 4096, with {@code semantics=vidur} only): tokens that every
 *       request reserves, however short it is.
 * </ul>
 */
public final class OrcaFactory implements SchedulerFactory {
  @Override
  public String name() {
    return "orca";
  }

  @Override
  public String description() {
    return "iteration-level batching of whole prompts; reserves the blocks of the longest output at"
        + " admission";
  }

  @Override
  public Scheduler create(SchedulerConfig config) {
    SchedulerOptions options = config.options();
    boolean vidur = Semantics.of(name(), config) == Semantics.VIDUR;
    options.rejectUnknown(
        name(), vidur ? Set.of("semantics", "requestTokens") : Set.of("semantics"));
    int reserved = vidur ? options.getInt("requestTokens", 4096, 1, Integer.MAX_VALUE) : 1;
    return new ReservingScheduler(
        config.memory(), config.limits(), ReservingScheduler.Joining.WITH_WHOLE_PROMPT, reserved);
  }
}
