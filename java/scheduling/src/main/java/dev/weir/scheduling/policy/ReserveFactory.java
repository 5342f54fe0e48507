package dev.weir.scheduling.policy;

import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import java.util.Set;

/**
 * Makes {@code reserve}, the baseline that never evicts and needs no knowledge: what TensorRT-LLM
 * does under its capacity policy GUARANTEED_NO_EVICT, its default. A request is admitted when the
 * blocks of its prompt and of its declared longest output fit beside those of everybody resident.
 * Prefill is chunked and shares the iterations with decoding, under the token budget, running
 * requests first; {@code orca} reserves the same, but admits a prompt only as a whole.
 *
 * <p>No options.
 */
public final class ReserveFactory implements SchedulerFactory {
  @Override
  public String name() {
    return "reserve";
  }

  @Override
  public String description() {
    return "first come first served in mixed batches with chunked prefill; reserves the blocks of"
        + " the longest output at admission, so never evicts";
  }

  @Override
  public Scheduler create(SchedulerConfig config) {
    config.options().rejectUnknown(name(), Set.of());
    return new ReservingScheduler(
        config.memory(), config.limits(), ReservingScheduler.Joining.WITH_FIRST_CHUNK, 1);
  }
}
