package dev.weir.scheduling.policy;

import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.fluid.NestedWaitThresholds;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;

/**
 * Makes {@code nested-wait} in its work-conserving mode. Options:
 *
 * <ul>
 *   <li>{@code segments} (default 3) or {@code boundaries}, a comma list of output lengths: where
 *       requests are told apart
 *   <li>{@code slack} (greater than 1; default: chosen), {@code delta} (default 0.05) and {@code
 *       horizon} (default 10000 iterations): see {@link NestedWaitThresholds.Settings}
 *   <li>{@code maxHold} (seconds, default 1): how long a request waits at most for others at an
 *       entrance
 *   <li>{@code fill} (default 1): a batch with less than this share of the requests that run in
 *       equilibrium is under-filled
 *   <li>{@code pace} (default 1.2): admissions an iteration, relative to those that fill the core
 *       memory in equilibrium
 * </ul>
 *
 * <p>Boundaries, caps, safety buffer and pace follow from the length histograms and the pool; the
 * arrival rate and the iteration cost decide which slacks are admissible, and the figures that say
 * whether the thresholds carry the load. See {@link NestedWaitThresholds}.
 *
 * <p>Without a {@link SchedulerConfig#workload() workload} there are no thresholds: see {@link
 * NestedWaitScheduler}.
 */
public final class NestedWaitFactory implements SchedulerFactory {
  private static final Set<String> OPTIONS =
      Set.of("segments", "boundaries", "slack", "delta", "horizon", "maxHold", "fill", "pace");

  @Override
  public String name() {
    return "nested-wait";
  }

  @Override
  public String description() {
    return "Nested WAIT: output lengths are discovered segment by segment, with thresholds and a"
        + " safety buffer against overflow";
  }

  @Override
  public Scheduler create(SchedulerConfig config) {
    SchedulerOptions options = config.options();
    options.rejectUnknown(name(), OPTIONS);
    NestedWaitThresholds.Settings defaults = NestedWaitThresholds.Settings.defaults();
    NestedWaitThresholds.Settings settings =
        new NestedWaitThresholds.Settings(
            options.getInt("segments", defaults.segments(), 1, 1000),
            options.getIntList("boundaries", 1, Integer.MAX_VALUE),
            options.has("slack")
                ? OptionalDouble.of(options.getDouble("slack", 0, Math.nextUp(1.0), 1e6))
                : OptionalDouble.empty(),
            options.getInt("horizon", defaults.horizon(), 1, Integer.MAX_VALUE),
            options.getDouble("delta", defaults.overflowProbability(), 1e-9, 0.49));
    double maxHold = options.getDouble("maxHold", 1, 0, Double.MAX_VALUE);
    double fill = options.getDouble("fill", 1, 0, 10);
    double pace = options.getDouble("pace", 1.2, 0.01, 100);
    Optional<NestedWaitThresholds> thresholds =
        config
            .workload()
            .map(
                w ->
                    NestedWaitThresholds.compute(
                        w, config.cost(), config.memory(), config.limits(), settings));
    return new NestedWaitScheduler(
        config.memory(), config.limits(), thresholds, maxHold, fill, pace);
  }
}
