package dev.weir.scheduling.policy;

import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Workload;
import dev.weir.scheduling.fluid.BoundarySelection;
import dev.weir.scheduling.fluid.NestedWaitThresholds;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.SequencedMap;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Makes {@code nested-wait}. Options:
 *
 * <ul>
 *   <li>{@code mode}: {@code workConserving} (default) or {@code strict}, which follows the paper
 *       to the letter, with thresholds in whole numbers
 *   <li>{@code segments} (default 3) or {@code boundaries}, a comma list of output lengths: where
 *       requests are told apart
 *   <li>{@code choose}: the boundaries, if they are not given: {@code halving} (default), {@code
 *       leastMemory} or {@code equal}, see {@link BoundarySelection.Rule}. What needs the least
 *       memory by the bound of the theory, which counts nobody as leaving inside a segment, is not
 *       what serves most: in simulations in overload it served more where lengths stand apart (100,
 *       400, 1500) and the pool is small, with more evictions, and less where they are log-normal
 *   <li>{@code slack} (greater than 1; default: chosen), {@code delta} (default 0.05) and {@code
 *       horizon} (default 10000 iterations): see {@link NestedWaitThresholds.Settings}
 *   <li>{@code thresholds} (strict mode only; default: {@link NestedWaitThresholds#computeWhole}):
 *       the {@code n_k}, a comma list. With {@code boundaries} of the same number, no workload is
 *       needed
 *   <li>{@code maxHold} (seconds, default 1, in strict mode infinite): how long a request waits at
 *       most for others at an entrance; in strict mode, for its segment to fire
 *   <li>{@code drain} (seconds, strict mode only, default infinite): when nobody has arrived for so
 *       long, everybody runs. A strict policy otherwise leaves requests waiting at the end
 *   <li>{@code fill} (default 1; not in strict mode): a batch with less than this share of the
 *       requests that run in equilibrium is under-filled
 *   <li>{@code pace} (default 1.2; not in strict mode): admissions an iteration, relative to those
 *       that fill the core memory in equilibrium
 * </ul>
 *
 * <p>Boundaries, caps, safety buffer and pace follow from the length histograms and the pool; the
 * arrival rate and the iteration cost decide which slacks are admissible, and the figures that say
 * whether the thresholds carry the load. See {@link NestedWaitThresholds}.
 *
 * <p>Without a {@link SchedulerConfig#workload() workload} there are no thresholds but those that
 * are set: see {@link NestedWaitScheduler}.
 */
public final class NestedWaitFactory implements SchedulerFactory {
  private static final String STRICT = "strict";

  /** The default first. */
  private static final SequencedMap<String, BoundarySelection.Rule> RULES = new LinkedHashMap<>();

  static {
    RULES.put("halving", BoundarySelection.Rule.HALVING);
    RULES.put("leastMemory", BoundarySelection.Rule.LEAST_MEMORY);
    RULES.put("equal", BoundarySelection.Rule.EQUAL);
  }

  private static final Set<String> STRICT_OPTIONS =
      Set.of(
          "mode",
          "segments",
          "boundaries",
          "choose",
          "slack",
          "delta",
          "horizon",
          "thresholds",
          "maxHold",
          "drain");
  private static final Set<String> OPTIONS =
      Set.of(
          "mode",
          "segments",
          "boundaries",
          "choose",
          "slack",
          "delta",
          "horizon",
          "maxHold",
          "fill",
          "pace");

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
    boolean strict = options.getChoice("mode", List.of("workConserving", STRICT)).equals(STRICT);
    options.rejectUnknown(name(), strict ? STRICT_OPTIONS : OPTIONS);
    NestedWaitThresholds.Settings settings = settings(options);
    if (strict) {
      return strict(config, settings);
    }
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

  private static NestedWaitThresholds.Settings settings(SchedulerOptions options) {
    NestedWaitThresholds.Settings defaults = NestedWaitThresholds.Settings.defaults();
    return new NestedWaitThresholds.Settings(
        options.getInt("segments", defaults.segments(), 1, 1000),
        options.getIntList("boundaries", 1, Integer.MAX_VALUE),
        options.has("slack")
            ? OptionalDouble.of(options.getDouble("slack", 0, Math.nextUp(1.0), 1e6))
            : OptionalDouble.empty(),
        options.getInt("horizon", defaults.horizon(), 1, Integer.MAX_VALUE),
        options.getDouble("delta", defaults.overflowProbability(), 1e-9, 0.49),
        RULES.get(options.getChoice("choose", List.copyOf(RULES.keySet()))));
  }

  private static Scheduler strict(SchedulerConfig config, NestedWaitThresholds.Settings settings) {
    SchedulerOptions options = config.options();
    List<Integer> chosen = options.getIntList("thresholds", 1, Integer.MAX_VALUE);
    WaitStrictScheduler.Chain chain =
        config
            .workload()
            .map(workload -> chain(thresholds(workload, config, settings, chosen)))
            .orElseGet(() -> chain(settings.boundaries(), chosen));
    return new WaitStrictScheduler(
        config.memory(),
        config.limits(),
        "segment",
        List.of(chain),
        _ -> 0,
        options.getDouble("maxHold", Double.POSITIVE_INFINITY, 0, Double.POSITIVE_INFINITY),
        options.getDouble("drain", Double.POSITIVE_INFINITY, 0, Double.POSITIVE_INFINITY));
  }

  private static NestedWaitThresholds thresholds(
      Workload workload,
      SchedulerConfig config,
      NestedWaitThresholds.Settings settings,
      List<Integer> chosen) {
    return chosen.isEmpty()
        ? NestedWaitThresholds.computeWhole(
            workload, config.cost(), config.memory(), config.limits(), settings)
        : NestedWaitThresholds.of(
            workload,
            config.cost(),
            config.memory(),
            config.limits(),
            settings,
            chosen.stream().mapToDouble(Integer::doubleValue).toArray());
  }

  private static WaitStrictScheduler.Chain chain(NestedWaitThresholds thresholds) {
    return chain(
        IntStream.rangeClosed(1, thresholds.segments()).mapToObj(thresholds::boundary).toList(),
        IntStream.rangeClosed(1, thresholds.segments())
            .mapToObj(k -> (int) thresholds.threshold(k))
            .toList());
  }

  private static WaitStrictScheduler.Chain chain(
      List<Integer> boundaries, List<Integer> thresholds) {
    if (boundaries.isEmpty() || boundaries.size() != thresholds.size()) {
      throw new IllegalArgumentException(
          "scheduler 'nested-wait' with mode=strict has boundaries="
              + boundaries
              + " and thresholds="
              + thresholds
              + "; without a workload both must be set, as many of one as of the other");
    }
    return new WaitStrictScheduler.Chain(
        IntStream.rangeClosed(1, boundaries.size()).mapToObj(Integer::toString).toList(),
        boundaries.stream().mapToInt(Integer::intValue).toArray(),
        thresholds.stream().mapToInt(Integer::intValue).toArray());
  }
}
