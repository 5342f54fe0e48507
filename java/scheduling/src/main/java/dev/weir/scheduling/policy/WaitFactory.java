package dev.weir.scheduling.policy;

import dev.weir.scheduling.RequestClass;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Workload;
import dev.weir.scheduling.fluid.WaitThresholds;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Makes {@code wait}. It knows output lengths at arrival: the true one if a trace tells it, else
 * the declared maximum. A request belongs to the class with its prompt and output length, or to the
 * nearest class that covers them.
 *
 * <p>The classes are those of the {@link Workload}; if it has none, they are made from its
 * histograms ({@link WaitThresholds#classesOf}). Options:
 *
 * <ul>
 *   <li>{@code mode}: {@code workConserving} (default) or {@code strict}, which follows the paper
 *       to the letter and needs a workload
 *   <li>{@code classes} (default 64): the most classes; more are put together by output length
 *   <li>{@code cycle}: {@code T} in seconds, which gives thresholds {@code n_j = lambda_j T}, in
 *       strict mode rounded up to whole numbers. Default: the largest that fits the pool; in strict
 *       mode {@link WaitThresholds#whole}
 *   <li>{@code thresholds}: the {@code n_j} themselves, a comma list of whole numbers, the classes
 *       in ascending order of output, then of prompt length
 *   <li>{@code maxHold} (seconds, default 1, in strict mode infinite): how long a request waits at
 *       most for others of its class
 *   <li>{@code drain} (seconds, strict mode only, default infinite): when nobody has arrived for so
 *       long, everybody runs. A strict policy otherwise leaves requests waiting at the end
 *   <li>{@code fill} (default 1; not in strict mode): a batch with less than this share of the
 *       requests that run in equilibrium is under-filled
 *   <li>{@code pace} (default 1.2; not in strict mode): admissions an iteration, relative to those
 *       in equilibrium
 * </ul>
 */
public final class WaitFactory implements SchedulerFactory {
  private static final String STRICT = "strict";
  private static final Set<String> STRICT_OPTIONS =
      Set.of("mode", "classes", "cycle", "thresholds", "maxHold", "drain");
  private static final Set<String> OPTIONS =
      Set.of("mode", "classes", "cycle", "thresholds", "maxHold", "fill", "pace");

  @Override
  public String name() {
    return "wait";
  }

  @Override
  public String description() {
    return "WAIT: output lengths are known at arrival, a threshold for each class of requests";
  }

  @Override
  public Scheduler create(SchedulerConfig config) {
    SchedulerOptions options = config.options();
    boolean strict = options.getChoice("mode", List.of("workConserving", STRICT)).equals(STRICT);
    options.rejectUnknown(name(), strict ? STRICT_OPTIONS : OPTIONS);
    Optional<WaitThresholds> thresholds =
        config.workload().map(workload -> thresholds(workload, config, strict));
    if (strict) {
      return strict(config, thresholds.orElseThrow(WaitFactory::noWorkload));
    }
    return new WaitScheduler(
        config.memory(),
        config.limits(),
        thresholds,
        options.getDouble("maxHold", 1, 0, Double.MAX_VALUE),
        options.getDouble("fill", 1, 0, 10),
        options.getDouble("pace", 1.2, 0.01, 100));
  }

  private static IllegalArgumentException noWorkload() {
    return new IllegalArgumentException(
        "scheduler 'wait' with mode=strict needs a workload (its classes or length histograms);"
            + " declare one, or choose mode=workConserving");
  }

  private static WaitThresholds thresholds(
      Workload workload, SchedulerConfig config, boolean strict) {
    SchedulerOptions options = config.options();
    List<RequestClass> classes =
        WaitThresholds.classesOf(workload, options.getInt("classes", 64, 1, 1000));
    List<Integer> chosen = options.getIntList("thresholds", 1, Integer.MAX_VALUE);
    if (!chosen.isEmpty()) {
      if (options.has("cycle")) {
        throw new IllegalArgumentException(
            "scheduler options cycle and thresholds exclude each other; set one of them");
      }
      double[] values = chosen.stream().mapToDouble(Integer::doubleValue).toArray();
      WaitThresholds thresholds =
          WaitThresholds.of(classes, values, config.cost(), config.memory());
      if (strict) {
        thresholds.requireSequences(config.limits());
      }
      return thresholds;
    }
    if (options.has("cycle")) {
      double cycle = options.getDouble("cycle", 0, 0, Double.MAX_VALUE);
      if (!strict) {
        return WaitThresholds.canonical(classes, config.cost(), config.memory(), cycle);
      }
      WaitThresholds whole =
          WaitThresholds.canonicalWhole(classes, config.cost(), config.memory(), cycle);
      whole.requireSequences(config.limits());
      return whole;
    }
    return strict
        ? WaitThresholds.whole(classes, config.cost(), config.memory(), config.limits())
        : WaitThresholds.largest(classes, config.cost(), config.memory());
  }

  private static Scheduler strict(SchedulerConfig config, WaitThresholds thresholds) {
    List<WaitStrictScheduler.Chain> chains =
        IntStream.range(0, thresholds.size())
            .mapToObj(
                j ->
                    new WaitStrictScheduler.Chain(
                        List.of(label(thresholds, j)),
                        new int[] {thresholds.requestClass(j).outputTokens()},
                        new int[] {(int) thresholds.threshold(j)}))
            .toList();
    return new WaitStrictScheduler(
        config.memory(),
        config.limits(),
        "class",
        chains,
        new WaitClassifier(thresholds),
        config
            .options()
            .getDouble("maxHold", Double.POSITIVE_INFINITY, 0, Double.POSITIVE_INFINITY),
        config.options().getDouble("drain", Double.POSITIVE_INFINITY, 0, Double.POSITIVE_INFINITY));
  }

  /** {@code prompt/output}, as the paper writes classes. */
  static String label(WaitThresholds thresholds, int j) {
    RequestClass c = thresholds.requestClass(j);
    return c.promptTokens() + "/" + c.outputTokens();
  }
}
