package dev.weir.scheduling.fluid;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.RequestClass;
import dev.weir.scheduling.Workload;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.TreeMap;
import java.util.function.DoublePredicate;
import java.util.function.DoubleUnaryOperator;

/**
 * Classes and thresholds of WAIT, which knows output lengths at arrival (arXiv 2504.11320; {@code
 * scheduling.md} section 3). Immutable.
 *
 * <p>A threshold {@code n_j} is a number of requests of class {@code j} per stage. An iteration
 * that runs {@code n_j} requests at every stage of every class holds {@code M(n) = sum_j n_j w_j}
 * tokens and lasts {@code dT(n) = d0 + d1 M(n)}. Thresholds are admissible if {@code M(n) <= C},
 * which all objects of this class fulfil, and {@code dT(n) <= n_j / lambda_j} for every {@code j}:
 * {@link #isStable()}.
 *
 * <p>The canonical thresholds {@code n_j = lambda_j T} are admissible exactly for {@code T} from
 * {@code dT*} of the {@link FluidModel} to {@code C / sum_j lambda_j w_j}. A small {@code T} makes
 * for low latency, a large one for steady batches and for slack. Classes are numbered from 0, in
 * ascending order of work.
 */
public final class WaitThresholds {
  private static final int BISECTIONS = 200;

  private final List<RequestClass> classes;
  private final double[] thresholds;
  private final double capacityTokens;
  private final double coreTokens;
  private final double cycleSeconds;
  private final double iterationSeconds;

  private WaitThresholds(
      List<RequestClass> classes, double[] thresholds, IterationCost cost, KvCapacity memory) {
    this.classes = classes;
    this.thresholds = thresholds;
    capacityTokens = memory.tokens();
    double core = 0;
    double cycle = Double.POSITIVE_INFINITY;
    for (int j = 0; j < thresholds.length; j++) {
      core += thresholds[j] * classes.get(j).work();
      cycle = Math.min(cycle, thresholds[j] / classes.get(j).arrivalRate());
    }
    coreTokens = core;
    cycleSeconds = cycle;
    iterationSeconds = cost.seconds(core);
  }

  /**
   * The canonical thresholds with the largest {@code T}: they fill the memory and have the widest
   * {@link #stabilityMargin()}, which is negative if the load is more than any thresholds carry.
   *
   * @param classes at least one
   */
  public static WaitThresholds largest(
      List<RequestClass> classes, IterationCost cost, KvCapacity memory) {
    List<RequestClass> sorted = sorted(classes);
    return ofCycle(sorted, memory.tokens() / workRate(sorted), cost, memory);
  }

  /**
   * The canonical thresholds for a {@code T}.
   *
   * @param classes at least one
   * @param cycleSeconds {@code T}
   * @throws IllegalArgumentException if {@code T} is not in {@code [dT*, C / sum lambda_j w_j]};
   *     the message names both ends, or says that there is no such {@code T} at this load
   */
  public static WaitThresholds canonical(
      List<RequestClass> classes, IterationCost cost, KvCapacity memory, double cycleSeconds) {
    List<RequestClass> sorted = sorted(classes);
    FluidModel model = FluidModel.of(sorted, cost, memory);
    double least = model.iterationSeconds();
    double most = memory.tokens() / workRate(sorted);
    if (least > most) {
      throw new IllegalArgumentException(
          ("no thresholds carry %.4g requests/s, the pool of %d KV tokens sustains %.4g; lower the"
                  + " rate or enlarge the pool")
              .formatted(model.arrivalRate(), memory.tokens(), model.sustainableRate()));
    }
    if (!(cycleSeconds >= least && cycleSeconds <= most)) {
      throw new IllegalArgumentException(
          ("cycle is %s s, must be in %.6g..%.6g: an iteration in equilibrium lasts the former, and"
                  + " the thresholds of the latter fill the pool of %d KV tokens")
              .formatted(cycleSeconds, least, most, memory.tokens()));
    }
    return ofCycle(sorted, cycleSeconds, cost, memory);
  }

  /**
   * The canonical thresholds, rounded up to whole numbers, for the strict policy, which counts
   * requests and waits for them. {@code T} is the geometric mean of its bounds, so that there is
   * slack and requests do not wait longer than it takes; the largest for which the thresholds fit
   * if that is less, or if no {@code T} carries the load.
   *
   * @param classes at least one
   * @throws IllegalArgumentException if not even thresholds of 1 fit into the pool, or into an
   *     iteration
   */
  public static WaitThresholds whole(
      List<RequestClass> classes, IterationCost cost, KvCapacity memory, BatchLimits limits) {
    List<RequestClass> sorted = sorted(classes);
    double most = memory.tokens() / workRate(sorted);
    double least = FluidModel.of(sorted, cost, memory).iterationSeconds();
    double high = least < most ? Math.sqrt(least * most) : most;
    DoublePredicate fits =
        cycle -> {
          double[] thresholds = wholeNumbers(sorted, cycle);
          return work(sorted, thresholds) <= memory.tokens()
              && sequences(sorted, thresholds) <= limits.maxSequences();
        };
    double low = fits.test(high) ? high : 0;
    for (int i = 0; i < BISECTIONS && high - low > 1e-9 * high; i++) {
      double middle = (low + high) / 2;
      if (fits.test(middle)) {
        low = middle;
      } else {
        high = middle;
      }
    }
    WaitThresholds whole = of(sorted, wholeNumbers(sorted, low), cost, memory);
    whole.requireSequences(limits);
    return whole;
  }

  /**
   * The canonical thresholds for a {@code T}, rounded up to whole numbers.
   *
   * @throws IllegalArgumentException as {@link #canonical} and {@link #of}
   */
  public static WaitThresholds canonicalWhole(
      List<RequestClass> classes, IterationCost cost, KvCapacity memory, double cycleSeconds) {
    List<RequestClass> sorted = canonical(classes, cost, memory, cycleSeconds).classes;
    return of(sorted, wholeNumbers(sorted, cycleSeconds), cost, memory);
  }

  /**
   * Any thresholds.
   *
   * @param classes at least one
   * @param thresholds {@code n_j} of each class in the order of {@code classes}, finite and greater
   *     than 0
   * @throws IllegalArgumentException if {@code M(n) > C}, or a threshold is out of range
   */
  public static WaitThresholds of(
      List<RequestClass> classes, double[] thresholds, IterationCost cost, KvCapacity memory) {
    requireClasses(classes);
    if (thresholds.length != classes.size()) {
      throw new IllegalArgumentException(
          "thresholds has "
              + thresholds.length
              + " values, must have one for each of "
              + classes.size()
              + " classes");
    }
    for (double threshold : thresholds) {
      if (!(threshold > 0) || Double.isInfinite(threshold)) {
        throw new IllegalArgumentException(
            "thresholds has " + threshold + ", must be finite and greater than 0");
      }
    }
    double needed = work(classes, thresholds);
    if (needed > memory.tokens()) {
      throw new IllegalArgumentException(
          ("wait needs %.0f KV tokens for its thresholds, the pool has %d; enlarge the pool, lower"
                  + " thresholds, or choose mode=workConserving")
              .formatted(needed, memory.tokens()));
    }
    List<Integer> order = new ArrayList<>();
    for (int j = 0; j < thresholds.length; j++) {
      order.add(j);
    }
    order.sort(Comparator.comparing(classes::get, BY_WORK));
    return new WaitThresholds(
        order.stream().map(classes::get).toList(),
        order.stream().mapToDouble(j -> thresholds[j]).toArray(),
        cost,
        memory);
  }

  private static final Comparator<RequestClass> BY_WORK =
      Comparator.comparingDouble(RequestClass::work)
          .thenComparingInt(RequestClass::outputTokens)
          .thenComparingDouble(RequestClass::arrivalRate);

  private static WaitThresholds ofCycle(
      List<RequestClass> sorted, double cycle, IterationCost cost, KvCapacity memory) {
    double[] thresholds = sorted.stream().mapToDouble(c -> c.arrivalRate() * cycle).toArray();
    return new WaitThresholds(sorted, thresholds, cost, memory);
  }

  private static double[] wholeNumbers(List<RequestClass> classes, double cycle) {
    // A product that should be a whole number may come out a little larger.
    DoubleUnaryOperator up = n -> Math.max(1, Math.ceil(n * (1 - 1e-9)));
    return classes.stream().mapToDouble(c -> up.applyAsDouble(c.arrivalRate() * cycle)).toArray();
  }

  private static List<RequestClass> sorted(List<RequestClass> classes) {
    requireClasses(classes);
    return classes.stream().sorted(BY_WORK).toList();
  }

  private static void requireClasses(List<RequestClass> classes) {
    if (classes.isEmpty()) {
      throw new IllegalArgumentException("wait needs at least one class of requests");
    }
  }

  private static double workRate(List<RequestClass> classes) {
    return classes.stream().mapToDouble(c -> c.arrivalRate() * c.work()).sum();
  }

  private static double work(List<RequestClass> classes, double[] thresholds) {
    double work = 0;
    for (int j = 0; j < thresholds.length; j++) {
      work += thresholds[j] * classes.get(j).work();
    }
    return work;
  }

  private static double sequences(List<RequestClass> classes, double[] thresholds) {
    double sequences = 0;
    for (int j = 0; j < thresholds.length; j++) {
      sequences += thresholds[j] * classes.get(j).outputTokens();
    }
    return sequences;
  }

  /**
   * @throws IllegalArgumentException if an iteration in which every class fires has more than
   *     {@link BatchLimits#maxSequences()} requests
   */
  public void requireSequences(BatchLimits limits) {
    if (sequences() > limits.maxSequences()) {
      throw new IllegalArgumentException(
          ("wait runs %.0f requests at once with its thresholds, an iteration has at most %d; raise"
                  + " the limit of sequences, lower thresholds, or choose mode=workConserving")
              .formatted(sequences(), limits.maxSequences()));
    }
  }

  /**
   * The classes of a workload, equal ones merged. If it has none, one for each output length, with
   * the mean prompt: the histograms take prompt and output as independent, and {@code M(n)} is
   * linear in the prompt. Where that makes more than {@code atMost}, neighbours in output length
   * are put together so that each group has about the same share of the work; the class has the
   * group's longest output, its mean prompt and its rate, and so a little more work.
   *
   * @param atMost at least 1
   */
  public static List<RequestClass> classesOf(Workload workload, int atMost) {
    if (atMost < 1) {
      throw new IllegalArgumentException("classes is " + atMost + ", must be at least 1");
    }
    List<RequestClass> classes = new ArrayList<>();
    if (workload.classes().isEmpty()) {
      LengthHistogram output = workload.outputTokens();
      int prompt = (int) Math.max(1, Math.rint(workload.promptTokens().mean()));
      for (int i = 0; i < output.size(); i++) {
        double rate = workload.arrivalRate() * output.probability(i);
        classes.add(new RequestClass(rate, prompt, output.length(i)));
      }
    } else {
      TreeMap<Integer, TreeMap<Integer, Double>> rates = new TreeMap<>();
      for (RequestClass c : workload.classes()) {
        rates
            .computeIfAbsent(c.outputTokens(), _ -> new TreeMap<>())
            .merge(c.promptTokens(), c.arrivalRate(), Double::sum);
      }
      rates.forEach(
          (output, byPrompt) ->
              byPrompt.forEach(
                  (prompt, rate) -> classes.add(new RequestClass(rate, prompt, output))));
    }
    return classes.size() <= atMost ? List.copyOf(classes) : grouped(classes, atMost);
  }

  /** Puts classes in ascending order of output length together. */
  private static List<RequestClass> grouped(List<RequestClass> classes, int groups) {
    double share = workRate(classes) / groups;
    List<RequestClass> result = new ArrayList<>();
    double reached = 0;
    double rate = 0;
    double promptRate = 0;
    for (int i = 0; i < classes.size(); i++) {
      RequestClass c = classes.get(i);
      reached += c.arrivalRate() * c.work();
      rate += c.arrivalRate();
      promptRate += c.arrivalRate() * c.promptTokens();
      boolean last = i + 1 == classes.size();
      boolean sameOutput = !last && classes.get(i + 1).outputTokens() == c.outputTokens();
      if (last || (!sameOutput && reached >= (result.size() + 1) * share)) {
        int prompt = (int) Math.max(1, Math.rint(promptRate / rate));
        result.add(new RequestClass(rate, prompt, c.outputTokens()));
        rate = 0;
        promptRate = 0;
      }
    }
    return List.copyOf(result);
  }

  /** Number of classes. */
  public int size() {
    return thresholds.length;
  }

  /** In ascending order of work, {@code 0 <= j < }{@link #size()}. */
  public RequestClass requestClass(int j) {
    return classes.get(j);
  }

  /** {@code n_j}, requests per stage. */
  public double threshold(int j) {
    return thresholds[j];
  }

  /** {@code n_j (l'_j + 1)}: requests of the class in the pool if every stage has its threshold. */
  public double occupancyCap(int j) {
    return thresholds[j] * (classes.get(j).outputTokens() + 1.0);
  }

  /** {@code sum_j n_j}: requests that enter in an iteration in which every class fires. */
  public double admissionsPerIteration() {
    double sum = 0;
    for (double threshold : thresholds) {
      sum += threshold;
    }
    return sum;
  }

  /**
   * {@code sum_j n_j l'_j}: requests that advance in an iteration in which every class fires. One
   * that is to end with {@code l'_j} tokens advances as often.
   */
  public double sequences() {
    return sequences(classes, thresholds);
  }

  /** {@code M(n) = sum_j n_j w_j}, tokens. */
  public double coreTokens() {
    return coreTokens;
  }

  /** {@code dT(n) = d0 + d1 M(n)}, seconds. */
  public double iterationSeconds() {
    return iterationSeconds;
  }

  /** The least {@code n_j / lambda_j}, seconds; {@code T} if the thresholds are canonical. */
  public double cycleSeconds() {
    return cycleSeconds;
  }

  /** Whether {@code dT(n) <= n_j / lambda_j} for every class: the thresholds keep up. */
  public boolean isStable() {
    return iterationSeconds <= cycleSeconds;
  }

  /** {@code 1 - max_j dT(n) lambda_j / n_j}: negative unless {@link #isStable() stable}. */
  public double stabilityMargin() {
    return 1 - iterationSeconds / cycleSeconds;
  }

  /** {@code 1 - M(n) / C}: the share of the pool that the thresholds leave. */
  public double memoryMargin() {
    return 1 - coreTokens / capacityTokens;
  }

  @Override
  public String toString() {
    StringBuilder text = new StringBuilder("WaitThresholds[");
    for (int j = 0; j < thresholds.length; j++) {
      RequestClass c = classes.get(j);
      text.append("%d/%d n=%.4g; ".formatted(c.promptTokens(), c.outputTokens(), thresholds[j]));
    }
    return text.append("core %.0f tokens]".formatted(coreTokens)).toString();
  }
}
