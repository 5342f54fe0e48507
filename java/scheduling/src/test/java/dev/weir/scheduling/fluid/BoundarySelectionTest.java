package dev.weir.scheduling.fluid;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Workload;
import dev.weir.scheduling.fluid.BoundarySelection.Choice;
import dev.weir.scheduling.fluid.BoundarySelection.Rule;
import dev.weir.scheduling.fluid.NestedWaitThresholds.Settings;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BoundarySelectionTest {
  private static final IterationCost COST = new IterationCost(0.01, 1e-6);
  private static final BatchLimits LIMITS = new BatchLimits(256, 2048);
  private static final LengthHistogram PROMPTS =
      LengthHistogram.of(IntStream.rangeClosed(20, 60).toArray());

  private static Settings settings(int segments, List<Integer> boundaries, double slack) {
    return new Settings(segments, boundaries, OptionalDouble.of(slack), 10_000, 0.05);
  }

  private static BoundarySelection select(
      Workload workload, KvCapacity memory, int segments, double slack) {
    Settings settings = settings(segments, List.of(), slack);
    return BoundarySelection.of(workload, COST, memory, LIMITS, settings, slack);
  }

  /** By the thresholds' own formulas, the least {@code T} by iteration of its equation. */
  private static NestedWaitThresholds leastThresholds(
      Workload workload, KvCapacity memory, List<Integer> boundaries, double slack) {
    double first = workload.arrivalRate() * COST.fixedSeconds();
    NestedWaitThresholds t = null;
    for (int i = 0; i < 200; i++) {
      double[] thresholds = new double[boundaries.size()];
      thresholds[0] = first;
      for (int k = 1; k < thresholds.length; k++) {
        int start = k == 1 ? 0 : boundaries.get(k - 2);
        double q =
            workload.outputTokens().survival(boundaries.get(k - 1))
                / workload.outputTokens().survival(start);
        thresholds[k] = thresholds[k - 1] * Math.min(1, slack * q);
      }
      Settings settings =
          settings(boundaries.size(), boundaries.subList(0, boundaries.size() - 1), slack);
      t = NestedWaitThresholds.of(workload, COST, memory, LIMITS, settings, thresholds);
      first = workload.arrivalRate() * t.iterationSeconds();
    }
    return t;
  }

  private static double needed(
      Workload workload, KvCapacity memory, List<Integer> boundaries, double slack) {
    NestedWaitThresholds t = leastThresholds(workload, memory, boundaries, slack);
    return t.coreTokens() + t.bufferTokens();
  }

  @ParameterizedTest
  @CsvSource({"1, 1.5", "2, 1.1", "2, 3", "3, 1.5", "4, 1.2"})
  void itsFiguresAreThoseOfTheThresholds(int segments, double slack) {
    Workload workload =
        new Workload(5, PROMPTS, LengthHistogram.of(IntStream.rangeClosed(1, 300).toArray()));
    KvCapacity memory = new KvCapacity(40_000, 16, 0);
    BoundarySelection selection = select(workload, memory, segments, slack);
    assertThat(selection.slack()).isEqualTo(slack);
    assertThat(selection.choices())
        .extracting(Choice::rule)
        .containsExactly(Rule.LEAST_MEMORY, Rule.HALVING, Rule.EQUAL);
    assertThat(selection.choices().getFirst()).isSameAs(selection.chosen());
    for (Choice choice : selection.choices()) {
      assertThat(choice.boundaries()).hasSize(segments).endsWith(300);
      NestedWaitThresholds t = leastThresholds(workload, memory, choice.boundaries(), slack);
      assertThat(choice.coreTokens()).isCloseTo(t.coreTokens(), within(1e-6));
      assertThat(choice.bufferTokens()).isCloseTo(t.bufferTokens(), within(1e-6));
      assertThat(choice.neededTokens()).isGreaterThanOrEqualTo(selection.chosen().neededTokens());
      Settings fixed = settings(segments, choice.boundaries(), slack);
      double rate =
          NestedWaitThresholds.compute(workload, COST, memory, LIMITS, fixed).sustainableRate();
      assertThat(choice.sustainableRate()).isCloseTo(rate, within(1e-6 * rate));
    }
  }

  @ParameterizedTest
  @CsvSource({"2, 1.1", "2, 2", "3, 1.2", "3, 4", "4, 1.1", "4, 1.75"})
  void noOtherBoundariesNeedLess(int segments, double slack) {
    Random random = new Random(20261120L * segments);
    int[] outputs =
        IntStream.generate(() -> 1 + (int) (10 * Math.exp(random.nextGaussian())))
            .limit(60)
            .toArray();
    Workload workload = new Workload(20, PROMPTS, LengthHistogram.of(outputs));
    KvCapacity memory = new KvCapacity(100_000, 16, 0);
    BoundarySelection selection = select(workload, memory, segments, slack);
    double least = Double.POSITIVE_INFINITY;
    int looked = 0;
    for (List<Integer> boundaries : allBoundaries(workload.outputTokens(), segments)) {
      least = Math.min(least, needed(workload, memory, boundaries, slack));
      looked++;
    }
    assertThat(looked).isGreaterThan(segments == 2 ? 20 : 200);
    assertThat(selection.chosen().neededTokens()).isCloseTo(least, within(1e-6 * least));
  }

  private static List<List<Integer>> allBoundaries(LengthHistogram output, int segments) {
    List<List<Integer>> all = new ArrayList<>();
    all.add(List.of());
    for (int k = 1; k < segments; k++) {
      List<List<Integer>> longer = new ArrayList<>();
      for (List<Integer> start : all) {
        for (int i = 0; i + 1 < output.size(); i++) {
          if (start.isEmpty() || output.length(i) > start.getLast()) {
            List<Integer> next = new ArrayList<>(start);
            next.add(output.length(i));
            longer.add(next);
          }
        }
      }
      all = longer;
    }
    all.forEach(boundaries -> boundaries.add(output.max()));
    return all;
  }

  /** Three lengths, three segments: the boundaries are at the lengths, where nobody goes on. */
  @Test
  void lengthsThatStandApartAreTheBoundaries() {
    int[] outputs = IntStream.range(0, 300).map(i -> new int[] {100, 400, 1500}[i % 3]).toArray();
    Workload workload = new Workload(2, PROMPTS, LengthHistogram.of(outputs));
    BoundarySelection selection = select(workload, new KvCapacity(7424, 16, 0), 3, 1.5);
    assertThat(selection.chosen().boundaries()).containsExactly(100, 400, 1500);
    assertThat(selection.choices().get(2).boundaries()).containsExactly(100, 400, 1500);
    // The median is 400, and so is that of those that are longer than the shortest.
    assertThat(selection.choices().get(1).boundaries()).containsExactly(400, 1500);
    assertThat(select(workload, new KvCapacity(7424, 16, 0), 9, 1.5).chosen().boundaries())
        .as("no more segments than lengths")
        .containsExactly(100, 400, 1500);
  }

  @Test
  void whereNoThresholdsCarryTheRateTheBestCarryMost() {
    int[] outputs = IntStream.rangeClosed(1, 60).toArray();
    Workload flood = new Workload(1e6, PROMPTS, LengthHistogram.of(outputs));
    KvCapacity memory = new KvCapacity(1000, 16, 0);
    BoundarySelection selection = select(flood, memory, 2, 1.3);
    assertThat(selection.chosen().coreTokens()).isInfinite();
    assertThat(selection.chosen().neededTokens()).isInfinite();
    double most = 0;
    for (int b = 1; b < 60; b++) {
      Settings settings = settings(2, List.of(b), 1.3);
      most =
          Math.max(
              most,
              NestedWaitThresholds.compute(flood, COST, memory, LIMITS, settings)
                  .sustainableRate());
    }
    assertThat(selection.chosen().sustainableRate()).isCloseTo(most, within(1e-6 * most));
    // A pool that not even the buffer fits.
    Workload apart = new Workload(1, PROMPTS, LengthHistogram.of(1, 60));
    BoundarySelection tiny = select(apart, new KvCapacity(2, 16, 0), 2, 1.3);
    assertThat(tiny.chosen().sustainableRate()).isZero();
    assertThat(tiny.chosen().boundaries()).containsExactly(1, 60);
  }

  /** More lengths than the grid has, and more segments than can be tried in every combination. */
  @ParameterizedTest
  @CsvSource({"2", "3", "4", "6", "12"})
  void manyLengthsAreNoWorseThanWithTheOtherRules(int segments) {
    Random random = new Random(7);
    int[] outputs =
        IntStream.generate(() -> (int) Math.clamp(150 * Math.exp(random.nextGaussian()), 1, 4000))
            .limit(20_000)
            .toArray();
    KvCapacity memory = new KvCapacity(7424, 16, 0);
    for (double rate : new double[] {0.2, 0.5, 30}) {
      Workload workload = new Workload(rate, PROMPTS, LengthHistogram.of(outputs));
      for (double slack : new double[] {1.1, 2}) {
        BoundarySelection selection = select(workload, memory, segments, slack);
        Choice chosen = selection.chosen();
        assertThat(chosen.boundaries()).hasSize(segments).isSorted().doesNotHaveDuplicates();
        boolean carries = chosen.neededTokens() <= memory.tokens();
        assertThat(carries).isEqualTo(rate < 1);
        for (Choice other : selection.choices()) {
          if (carries) {
            // Boundaries of the other rules may lie between two stages of the grid.
            assertThat(other.neededTokens()).isGreaterThan(0.98 * chosen.neededTokens());
          } else {
            assertThat(other.neededTokens()).isGreaterThan(memory.tokens());
            assertThat(other.sustainableRate()).isLessThan(1.02 * chosen.sustainableRate());
          }
        }
      }
    }
  }

  @Test
  void theThresholdsUseTheRuleOfTheirSettings() {
    Workload workload =
        new Workload(5, PROMPTS, LengthHistogram.of(IntStream.rangeClosed(1, 300).toArray()));
    KvCapacity memory = new KvCapacity(4000, 16, 0);
    for (Rule rule : Rule.values()) {
      Settings settings = new Settings(3, List.of(), OptionalDouble.of(1.5), 10_000, 0.05, rule);
      NestedWaitThresholds t =
          NestedWaitThresholds.compute(workload, COST, memory, LIMITS, settings);
      Choice expected = select(workload, memory, 3, 1.5).choices().get(rule.ordinal());
      assertThat(IntStream.rangeClosed(1, 3).mapToObj(t::boundary))
          .isEqualTo(expected.boundaries());
    }
  }
}
