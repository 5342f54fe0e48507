package dev.weir.scheduling.fluid;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Workload;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Which boundaries of Nested WAIT need the least memory, and what others need ({@code
 * scheduling.md} section 4). Immutable.
 *
 * <p>For boundaries and a slack, the thresholds are {@code n_1 r_k} with {@code r_1 = 1}, {@code
 * r_{k+1} = r_k min(1, slack q_k)}. Then {@code M(n) = n_1 A}, and the least {@code T} that carries
 * the declared rate solves {@code T = d0 + d1 lambda T A}. The memory needed is {@code M(n) + sum_k
 * Q_k (E[p] + b_k) + beta} at {@code n_1 = lambda T}. Where that exceeds the pool, or no {@code T}
 * carries the rate, boundaries are compared by the rate that the largest thresholds in the pool
 * carry; any that carry the declared rate are better than any that do not.
 *
 * <p>The search is exact over a grid of stages: all lengths of the histogram if they are few, else
 * quantiles and evenly spaced ones. Every choice from the grid is looked at; if those are too many,
 * every choice from a part of the grid, and from the best of them on one boundary after another is
 * moved over the whole grid as long as that helps. {@code r_k}, and so the memory of a segment,
 * depends on all boundaries before it where {@code slack q_k > 1}, so that there is no recursion
 * over the last boundary alone.
 */
public final class BoundarySelection {
  /** A way to choose boundaries. */
  public enum Rule {
    /** Those that need the least memory. */
    LEAST_MEMORY,
    /**
     * The median of the output length, the median of those that are longer, and so on: a request is
     * as likely to end as to go on at each.
     */
    HALVING,
    /** Quantiles {@code 1/m, 2/m, ...} of the output length. */
    EQUAL
  }

  /**
   * Boundaries and what they come to.
   *
   * @param boundaries {@code b_1, ..., b_m}, in tokens
   * @param coreTokens {@code M(n)} at the least thresholds that carry the declared rate; positive
   *     infinity if none do, whatever the pool
   * @param bufferTokens the safety buffer at these thresholds; positive infinity likewise
   * @param sustainableRate requests a second that the largest thresholds in the pool carry; 0 if
   *     the buffer alone exceeds it
   */
  public record Choice(
      Rule rule,
      List<Integer> boundaries,
      double coreTokens,
      double bufferTokens,
      double sustainableRate) {

    /** {@code M(n)} and safety buffer, tokens. */
    public double neededTokens() {
      return coreTokens + bufferTokens;
    }
  }

  private final double slack;
  private final List<Choice> choices;

  private BoundarySelection(double slack, List<Choice> choices) {
    this.slack = slack;
    this.choices = choices;
  }

  /**
   * Looks for the boundaries.
   *
   * @param settings the number of segments, horizon and overflow probability; its boundaries and
   *     slack are not looked at
   * @param slack {@code n_{k+1} / (q_k n_k)}, greater than 1
   */
  public static BoundarySelection of(
      Workload workload,
      IterationCost cost,
      KvCapacity memory,
      BatchLimits limits,
      NestedWaitThresholds.Settings settings,
      double slack) {
    Search search = new Search(workload, cost, memory, limits, settings, slack);
    return new BoundarySelection(
        slack,
        Arrays.stream(Rule.values())
            .map(rule -> search.choice(rule, search.boundaries(rule)))
            .toList());
  }

  /** The boundaries of a rule, {@code b_m}, the longest output, included. */
  static int[] boundaries(
      Rule rule,
      Workload workload,
      IterationCost cost,
      KvCapacity memory,
      BatchLimits limits,
      NestedWaitThresholds.Settings settings,
      double slack) {
    return new Search(workload, cost, memory, limits, settings, slack).boundaries(rule);
  }

  /** The choice with the least memory. */
  public Choice chosen() {
    return choices.getFirst();
  }

  /** One by each rule, the {@link #chosen()} one first. */
  public List<Choice> choices() {
    return choices;
  }

  /** {@code n_{k+1} / (q_k n_k)}. */
  public double slack() {
    return slack;
  }

  /**
   * What the memory of a number of segments adds up to, as {@code a n_1 + b}, but for the term of
   * the prompts' variation.
   */
  private static final class Sums {
    double ratio = 1;
    double core;
    double capacity;
    double queued;
    double queuedFixed;
    double queuedTokens;
    double queuedTokensFixed;

    void copy(Sums other) {
      ratio = other.ratio;
      core = other.core;
      capacity = other.capacity;
      queued = other.queued;
      queuedFixed = other.queuedFixed;
      queuedTokens = other.queuedTokens;
      queuedTokensFixed = other.queuedTokensFixed;
    }
  }

  private static final class Search {
    private static final int GRID = 64;
    private static final long MOST_CHOICES = 50_000;

    private final LengthHistogram output;
    private final double rate;
    private final double prompt;
    private final double variation;
    private final double perResident;
    private final double horizonTerm;
    private final IterationCost cost;
    private final double capacity;
    private final int maxSequences;
    private final int segments;
    private final double slack;

    /** Stages at which one may cut. */
    private final int[] grid;

    /** {@code P(S > s)} at the stages of the grid. */
    private final double[] survival;

    /** {@code 1 / theta} by the indices of two stages of the grid, the earlier one shifted by 1. */
    private final double[] inverseExponents;

    private final Sums[] partial;
    private final int[] chosen;
    private final int[] best;
    private double bestScore;

    Search(
        Workload workload,
        IterationCost cost,
        KvCapacity memory,
        BatchLimits limits,
        NestedWaitThresholds.Settings settings,
        double slack) {
      output = workload.outputTokens();
      rate = workload.arrivalRate();
      prompt = workload.promptTokens().mean();
      variation =
          StandardNormal.quantile(1 - settings.overflowProbability())
              * workload.promptTokens().standardDeviation();
      perResident = (memory.blockSize() - 1) / 2.0;
      this.cost = cost;
      capacity = memory.tokens();
      maxSequences = limits.maxSequences();
      this.slack = slack;
      grid = grid(output);
      survival = IntStream.of(grid).mapToDouble(output::survival).toArray();
      segments = Math.min(settings.segments(), grid.length + 1);
      horizonTerm = Math.log(settings.horizon() / settings.overflowProbability());
      inverseExponents = new double[(grid.length + 1) * grid.length];
      Arrays.fill(inverseExponents, Double.NaN);
      partial = IntStream.range(0, segments + 1).mapToObj(_ -> new Sums()).toArray(Sums[]::new);
      chosen = new int[segments - 1];
      best = new int[segments - 1];
    }

    private static int[] grid(LengthHistogram output) {
      IntStream stages =
          output.size() <= GRID + 1
              ? IntStream.range(0, output.size()).map(output::length)
              : IntStream.rangeClosed(1, GRID / 2)
                  .flatMap(
                      i ->
                          IntStream.of(
                              output.quantile(i / (GRID / 2 + 1.0)),
                              (int) ((long) output.max() * i / (GRID / 2 + 1))));
      return stages.filter(s -> s > 0 && s < output.max()).sorted().distinct().toArray();
    }

    int[] boundaries(Rule rule) {
      IntStream inner =
          switch (rule) {
            case LEAST_MEMORY -> leastMemory();
            case HALVING ->
                IntStream.range(1, segments).map(k -> output.quantile(1 - Math.pow(2, -k)));
            case EQUAL ->
                IntStream.range(1, segments).map(k -> output.quantile((double) k / segments));
          };
      return IntStream.concat(
              inner.filter(b -> b < output.max()).distinct(), IntStream.of(output.max()))
          .toArray();
    }

    private IntStream leastMemory() {
      bestScore = Double.POSITIVE_INFINITY;
      int[] part = thinned();
      // Should nothing fit, whatever the boundaries, any will do.
      System.arraycopy(part, 0, best, 0, best.length);
      extend(part, 0, 0);
      if (part.length < grid.length) {
        improve();
      }
      return IntStream.of(best).map(i -> grid[i]);
    }

    /** As many indices into the grid, evenly spaced, as leave not too many choices. */
    private int[] thinned() {
      int count = grid.length;
      while (count > segments - 1 && choices(count, segments - 1) > MOST_CHOICES) {
        count--;
      }
      int size = count;
      return IntStream.range(0, size).map(i -> (int) ((long) i * grid.length / size)).toArray();
    }

    private static long choices(int count, int chosen) {
      long choices = 1;
      for (int i = 1; i <= Math.min(chosen, count - chosen) && choices <= MOST_CHOICES; i++) {
        choices = choices * (count - i + 1) / i;
      }
      return choices;
    }

    /** Tries all stages of {@code part} from {@code first} on as the end of segment {@code k}. */
    private void extend(int[] part, int k, int first) {
      if (k == segments - 1) {
        rate(chosen);
        return;
      }
      for (int i = first; i <= part.length - (segments - 1 - k); i++) {
        chosen[k] = part[i];
        addSegment(k, chosen);
        extend(part, k + 1, i + 1);
      }
    }

    /** Moves one boundary after another to the best place between its neighbours. */
    private void improve() {
      double before = Double.POSITIVE_INFINITY;
      while (bestScore < before) {
        before = bestScore;
        for (int k = 0; k < best.length; k++) {
          System.arraycopy(best, 0, chosen, 0, best.length);
          int from = k == 0 ? 0 : chosen[k - 1] + 1;
          int to = k + 1 == best.length ? grid.length : chosen[k + 1];
          for (int i = from; i < to; i++) {
            chosen[k] = i;
            for (int j = 0; j < chosen.length; j++) {
              addSegment(j, chosen);
            }
            rate(chosen);
          }
        }
      }
    }

    private void rate(int[] inner) {
      double score = score(addLast(inner));
      if (score < bestScore) {
        bestScore = score;
        System.arraycopy(inner, 0, best, 0, inner.length);
      }
    }

    /** {@code partial[k + 1]} becomes {@code partial[k]} with segment {@code k}, from 0. */
    private void addSegment(int k, int[] inner) {
      int from = k == 0 ? -1 : inner[k - 1];
      int to = inner[k];
      int start = from < 0 ? 0 : grid[from];
      double q = survival[to] / (from < 0 ? 1 : survival[from]);
      int index = (from + 1) * grid.length + to;
      if (Double.isNaN(inverseExponents[index])) {
        inverseExponents[index] = inverseExponent(q, slack);
      }
      double excess = excess(segments, inverseExponents[index]);
      add(partial[k], partial[k + 1], start, grid[to], q, excess);
    }

    private Sums addLast(int[] inner) {
      int start = inner.length == 0 ? 0 : grid[inner[inner.length - 1]];
      Sums sums = partial[segments];
      sums.copy(partial[segments - 1]);
      addStages(sums, start, output.max());
      return sums;
    }

    /** {@code Q_k - n_{k+1} = ln((m - 1) B / delta) / theta_k}. */
    private double excess(int segments, double inverseExponent) {
      return (horizonTerm + Math.log(segments - 1.0)) * inverseExponent;
    }

    private void add(Sums from, Sums to, int start, int end, double q, double excess) {
      to.copy(from);
      addStages(to, start, end);
      to.ratio *= Math.min(1, slack * q);
      to.queued += to.ratio;
      to.queuedFixed += excess;
      to.queuedTokens += to.ratio * (prompt + end);
      to.queuedTokensFixed += excess * (prompt + end);
    }

    private void addStages(Sums sums, int start, int end) {
      sums.core += sums.ratio * NestedWaitThresholds.tokensOfStages(prompt, start, end);
      sums.capacity += sums.ratio * (end - start);
    }

    private static double inverseExponent(double q, double slack) {
      return 1 / NestedWaitThresholds.lundbergExponent(1, q, Math.min(1, slack * q));
    }

    Choice choice(Rule rule, int[] boundaries) {
      Sums sums = new Sums();
      int start = 0;
      for (int k = 0; k + 1 < boundaries.length; k++) {
        double q = output.survival(boundaries[k]) / output.survival(start);
        Sums next = new Sums();
        double excess = excess(boundaries.length, inverseExponent(q, slack));
        add(sums, next, start, boundaries[k], q, excess);
        sums = next;
        start = boundaries[k];
      }
      addStages(sums, start, output.max());
      double first = firstThreshold(sums);
      double core = first * sums.core;
      double buffer = first == Double.POSITIVE_INFINITY ? first : needed(sums, first) - core;
      return new Choice(
          rule, IntStream.of(boundaries).boxed().toList(), core, buffer, sustainableRate(sums));
    }

    /** The lower, the better. */
    private double score(Sums sums) {
      double first = firstThreshold(sums);
      double needed = first == Double.POSITIVE_INFINITY ? first : needed(sums, first);
      return needed <= capacity ? needed : capacity * (1 + rate / sustainableRate(sums));
    }

    /** {@code n_1 = lambda T}, least to carry the declared rate; infinite if there is none. */
    private double firstThreshold(Sums sums) {
      double load = cost.secondsPerToken() * rate * sums.core;
      return load >= 1 ? Double.POSITIVE_INFINITY : rate * cost.fixedSeconds() / (1 - load);
    }

    private double needed(Sums sums, double first) {
      double residents = first * (sums.capacity + sums.queued) + sums.queuedFixed;
      return first * (sums.core + sums.queuedTokens)
          + sums.queuedTokensFixed
          + variation * Math.sqrt(residents)
          + perResident * residents;
    }

    /** {@code n_1 / dT(n)} for the largest {@code n_1} that fits. */
    private double sustainableRate(Sums sums) {
      // With x = sqrt(residents), needed = C is a quadratic equation in x.
      double residents = sums.capacity + sums.queued;
      double tokens = (sums.core + sums.queuedTokens) / residents;
      double quadratic = tokens + perResident;
      double constant = sums.queuedTokensFixed - tokens * sums.queuedFixed - capacity;
      double root =
          (-variation + Math.sqrt(Math.max(0, variation * variation - 4 * quadratic * constant)))
              / (2 * quadratic);
      double first = (root * root - sums.queuedFixed) / residents;
      if (!(root > 0 && first > 0)) {
        return 0;
      }
      double most = Math.min(first, maxSequences);
      return most / cost.seconds(most * sums.core);
    }
  }
}
