package dev.weir.scheduling.policy;

import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.SchedulerOptions;
import java.util.Set;

/**
 * Makes {@code vllm-v0}, the baseline: what vLLM did before its version 1. Options:
 *
 * <ul>
 *   <li>{@code watermark} (0..1, default 0.01): share of the pool that an admission must leave
 *       free, rounded down to whole blocks;
 *   <li>{@code semantics} ({@code weir} or {@code vidur}): see the README of the simulation;
 *   <li>{@code paddedTokens} (default 4096, with {@code semantics=vidur} only): the most tokens of
 *       a prefill batch, every prompt counted as long as the longest.
 * </ul>
 */
public final class VllmV0Factory implements SchedulerFactory {
  @Override
  public String name() {
    return "vllm-v0";
  }

  @Override
  public String description() {
    return "prefill first, never mixed with decoding; evicts the most recently admitted on"
        + " overflow";
  }

  @Override
  public Scheduler create(SchedulerConfig config) {
    SchedulerOptions options = config.options();
    Semantics semantics = Semantics.of(name(), config);
    options.rejectUnknown(
        name(),
        semantics == Semantics.VIDUR
            ? Set.of("watermark", "semantics", "paddedTokens")
            : Set.of("watermark", "semantics"));
    return new VllmV0Scheduler(
        config.memory(),
        config.limits(),
        options.getDouble("watermark", 0.01, 0, 1),
        semantics,
        options.getInt("paddedTokens", 4096, 1, Integer.MAX_VALUE));
  }
}
