package dev.weir.scheduling.fluid;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Workload;
import dev.weir.scheduling.fluid.NestedWaitThresholds.Settings;
import java.util.List;
import java.util.OptionalDouble;
import java.util.Random;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.DoubleRange;
import net.jqwik.api.constraints.Scale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NestedWaitThresholdsTest {
  private static final IterationCost COST = new IterationCost(0.01, 1e-6);
  private static final BatchLimits LIMITS = new BatchLimits(256, 2048);
  private static final Workload WORKLOAD =
      new Workload(
          5,
          LengthHistogram.of(IntStream.rangeClosed(20, 60).toArray()),
          LengthHistogram.of(IntStream.rangeClosed(1, 300).toArray()));

  private static NestedWaitThresholds compute(
      Workload workload, KvCapacity memory, Settings settings) {
    return NestedWaitThresholds.compute(workload, COST, memory, LIMITS, settings);
  }

  @ParameterizedTest
  @CsvSource({"20, 0.5, 11, 37.3", "20, 0.3, 8, 20.2", "8, 0.5, 5, 15.1"})
  void queueBoundsOfTheSpecification(double n, double q, double next, double bound) {
    double theta = NestedWaitThresholds.lundbergExponent(n, q, next);
    assertThat(NestedWaitThresholds.queueBound(next, theta, 1, 2000, 0.05))
        .isCloseTo(bound, within(0.05));
  }

  @ParameterizedTest
  @CsvSource({"20, 0.5, 11", "20, 0.3, 8", "8, 0.5, 5"})
  void theQueueExceedsItsBoundInFewerThanFivePercentOfRuns(int n, double q, int next) {
    int horizon = 2000;
    int runs = 2000;
    double theta = NestedWaitThresholds.lundbergExponent(n, q, next);
    double bound = NestedWaitThresholds.queueBound(next, theta, 1, horizon, 0.05);
    Random random = new Random(20261120);
    int broken = 0;
    double highest = 0;
    for (int run = 0; run < runs; run++) {
      int walk = 0;
      int peak = 0;
      for (int i = 0; i < horizon; i++) {
        int arrivals = 0;
        for (int j = 0; j < n; j++) {
          arrivals += random.nextDouble() < q ? 1 : 0;
        }
        walk = Math.max(0, walk + arrivals - next);
        peak = Math.max(peak, walk);
      }
      broken += next + peak > bound ? 1 : 0;
      highest = Math.max(highest, next + peak);
    }
    assertThat(broken).isLessThan(runs / 20);
    assertThat(highest)
        .as("the bound is not idle: some run comes near it")
        .isGreaterThan(0.8 * bound);
  }

  @Property
  void theExponentSolvesItsEquation(
      @ForAll @Scale(6) @DoubleRange(min = 0.001, max = 100) double n,
      @ForAll @DoubleRange(min = 0.01, max = 0.95) double q,
      @ForAll @DoubleRange(min = 0.05, max = 0.95) double position) {
    double next = n * (q + position * (1 - q));
    double theta = NestedWaitThresholds.lundbergExponent(n, q, next);
    assertThat(theta).isPositive();
    assertThat(n * Math.log(1 - q + q * Math.exp(theta))).isCloseTo(theta * next, within(1e-6 * n));
  }

  @Test
  void theExponentIsInfiniteIfTheQueueCannotGrowAndUndefinedIfItMust() {
    assertThat(NestedWaitThresholds.lundbergExponent(4, 0.5, 4)).isInfinite();
    assertThat(NestedWaitThresholds.lundbergExponent(4, 0, 1)).isInfinite();
    assertThat(NestedWaitThresholds.queueBound(4, Double.POSITIVE_INFINITY, 2, 1000, 0.05))
        .isEqualTo(4);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> NestedWaitThresholds.lundbergExponent(4, 0.5, 2))
        .withMessageContaining("next threshold is 2.0, must be greater than q n = 2.0");
  }

  @Test
  void everythingByHandForTwoSegments() {
    // Outputs 1..4 with equal probability, cut at 2: P(S > 2) = 1/2.
    Workload workload = new Workload(10, LengthHistogram.of(6, 10), LengthHistogram.of(1, 2, 3, 4));
    Settings settings = new Settings(3, List.of(2), OptionalDouble.of(1.5), 100, 0.05);
    NestedWaitThresholds t = compute(workload, new KvCapacity(100, 4, 0), settings);
    assertThat(t.segments()).isEqualTo(2);
    assertThat(t.boundary(1)).isEqualTo(2);
    assertThat(t.boundary(2)).isEqualTo(4);
    assertThat(t.survivorRate(1)).isEqualTo(10);
    assertThat(t.survivorRate(2)).isEqualTo(5);
    assertThat(t.continuation(1)).isEqualTo(0.5);
    assertThat(t.continuation(2)).isZero();
    double n = t.threshold(1);
    assertThat(t.threshold(2)).isCloseTo(0.75 * n, within(1e-12));
    assertThat(t.occupancyCap(1)).isCloseTo(2 * n, within(1e-12));
    assertThat(t.occupancyCap(2)).isCloseTo(1.5 * n, within(1e-12));
    // E[p] = 8: stages 1, 2 hold 9 + 10 tokens, stages 3, 4 hold 11 + 12.
    assertThat(t.coreTokens()).isCloseTo(n * 19 + 0.75 * n * 23, within(1e-9));
    // ln((1 + x) / 2) = 0.75 ln x, x = e^theta: with y = x^(1/4), y^4 - 2 y^3 + 1 = 0, y =
    // 1.8392867552 (tribonacci).
    double theta = 4 * Math.log(1.8392867552141612);
    assertThat(t.exponent(1)).isCloseTo(theta, within(1e-9));
    double queue = 0.75 * n + Math.log(100 / 0.05) / theta;
    assertThat(t.queueBound(1)).isCloseTo(queue, within(1e-9));
    double residents = 3.5 * n + queue;
    double beta = 1.6448536269514722 * 2 * Math.sqrt(residents) + residents * 1.5;
    assertThat(t.bufferTokens()).isCloseTo(queue * (8 + 2) + beta, within(1e-6));
    // T is the largest that fits: core and buffer fill the pool.
    assertThat(t.coreTokens() + t.bufferTokens())
        .isCloseTo(400, within(1e-3))
        .isLessThanOrEqualTo(400);
    assertThat(t.cycleSeconds()).isCloseTo(n / 10, within(1e-12));
    assertThat(t.iterationSeconds()).isCloseTo(0.01 + 1e-6 * t.coreTokens(), within(1e-12));
    assertThat(t.isStable()).isTrue();
    // W = E[p](E[S] + 1) + E[S(S + 1)]/2 = 8 * 3.5 + 5 = 33.
    assertThat(t.admissionsPerIteration()).isCloseTo(t.coreTokens() / 33, within(1e-9));
    assertThat(t.expectedRunning()).isCloseTo(2.5 * t.coreTokens() / 33, within(1e-9));
  }

  @Test
  void wholeThresholdsHaveSlackAndAreNoLargerThanThat() {
    Settings settings = new Settings(2, List.of(150), OptionalDouble.of(1.5), 1000, 0.05);
    KvCapacity memory = new KvCapacity(40_000, 16, 0);
    NestedWaitThresholds t =
        NestedWaitThresholds.computeWhole(WORKLOAD, COST, memory, LIMITS, settings);
    // With n_1 = 1 it is M(n) = 150 (40 + 75.5) + 150 (40 + 225.5) = 57150 and dT = 0.067 < 0.2,
    // so 1 is admissible; the largest that fits follows from the real-valued thresholds.
    double largest = compute(WORKLOAD, memory, settings).threshold(1);
    assertThat(t.threshold(1)).isBetween(Math.sqrt(0.8 * largest), Math.ceil(Math.sqrt(largest)));
    assertThat(t.threshold(2)).isEqualTo(Math.ceil(0.75 * t.threshold(1)));
    assertThat(t.isStable()).isTrue();
    assertThat(t.coreTokens() + t.bufferTokens()).isLessThanOrEqualTo(640_000);
    // A rate that nothing carries.
    NestedWaitThresholds flooded =
        NestedWaitThresholds.computeWhole(withRate(1e4), COST, memory, LIMITS, settings);
    assertThat(flooded.isStable()).isFalse();
    assertThat(flooded.threshold(1)).isBetween(largest - 2, largest);
    // The least is admissible only from some n_1 on: dT = 0.01 + 0.0572 n_1 > n_1 / rate before.
    NestedWaitThresholds busy =
        NestedWaitThresholds.computeWhole(withRate(16), COST, memory, LIMITS, settings);
    assertThat(busy.isStable()).isTrue();
    assertThat(busy.threshold(1)).isGreaterThan(t.threshold(1));
  }

  @Test
  void quantilesOfTheOutputAreTheDefaultBoundaries() {
    NestedWaitThresholds t = compute(WORKLOAD, new KvCapacity(4000, 16, 0), Settings.defaults());
    assertThat(t.segments()).isEqualTo(3);
    assertThat(t.boundary(1)).isEqualTo(150);
    assertThat(t.boundary(2)).isEqualTo(225);
    assertThat(t.boundary(3)).isEqualTo(300);
    for (int k = 1; k < 3; k++) {
      assertThat(t.threshold(k + 1))
          .isLessThanOrEqualTo(t.threshold(k))
          .isGreaterThanOrEqualTo(
              Math.min(t.threshold(k), 1.1 * t.continuation(k) * t.threshold(k)) - 1e-12);
    }
  }

  @Test
  void aChosenSlackIsAsGoodAsAnyOther() {
    KvCapacity memory = new KvCapacity(1000, 16, 0);
    NestedWaitThresholds chosen = compute(WORKLOAD, memory, Settings.defaults());
    for (double slack : new double[] {1.1, 1.35, 2, 6}) {
      NestedWaitThresholds other = compute(WORKLOAD, memory, withSlack(slack));
      assertThat(other.slack()).isEqualTo(slack);
      assertThat(other.threshold(2)).isLessThanOrEqualTo(other.threshold(1));
      assertThat(merit(other)).isLessThanOrEqualTo(merit(chosen));
    }
  }

  private static double merit(NestedWaitThresholds t) {
    return t.threshold(1) * t.coreTokens() * t.coreTokens();
  }

  @Test
  void moreMemoryAllowsMore() {
    double previous = 0;
    for (long blocks : new long[] {100, 200, 400, 800, 1600}) {
      NestedWaitThresholds t =
          compute(WORKLOAD, new KvCapacity(blocks, 16, 0), Settings.defaults());
      assertThat(t.coreTokens() + t.bufferTokens()).isLessThanOrEqualTo(blocks * 16);
      assertThat(t.coreTokens()).isGreaterThan(previous);
      previous = t.coreTokens();
    }
  }

  @Test
  void theFirstThresholdIsBoundedByTheBatch() {
    NestedWaitThresholds t =
        compute(WORKLOAD, new KvCapacity(1L << 40, 16, 0), Settings.defaults());
    assertThat(t.threshold(1)).isEqualTo(256);
  }

  /** A rate that some slack carries, but not the one with the largest merit. */
  @Test
  void aSlackThatCarriesTheRateIsPreferred() {
    KvCapacity memory = new KvCapacity(1000, 16, 0);
    NestedWaitThresholds best = compute(WORKLOAD, memory, Settings.defaults());
    NestedWaitThresholds fastest = best;
    for (double slack : new double[] {1.1, 1.2, 1.35, 1.5, 1.75, 2, 2.5, 3, 4, 6, 10}) {
      NestedWaitThresholds other = compute(WORKLOAD, memory, withSlack(slack));
      if (other.sustainableRate() > fastest.sustainableRate()) {
        fastest = other;
      }
    }
    assertThat(fastest.sustainableRate()).isGreaterThan(best.sustainableRate());
    double between = (best.sustainableRate() + fastest.sustainableRate()) / 2;
    NestedWaitThresholds chosen = compute(withRate(between), memory, Settings.defaults());
    assertThat(chosen.isStable()).isTrue();
    assertThat(chosen.slack()).isNotEqualTo(best.slack());
    assertThat(chosen.cycleSeconds()).isGreaterThan(fluid(between, memory).iterationSeconds());

    double above = 1.01 * fastest.sustainableRate();
    NestedWaitThresholds flooded = compute(withRate(above), memory, Settings.defaults());
    assertThat(flooded.isStable()).isFalse();
    assertThat(flooded.stabilityMargin()).isNegative();
    assertThat(flooded.slack()).isEqualTo(best.slack());
    assertThat(flooded.threshold(1)).isCloseTo(best.threshold(1), within(1e-9));
  }

  @Test
  void theSustainableRateIsWhereTheMarginIsZero() {
    KvCapacity memory = new KvCapacity(1000, 16, 0);
    Settings settings = withSlack(1.5);
    double rate = compute(WORKLOAD, memory, settings).sustainableRate();
    assertThat(compute(withRate(rate), memory, settings).stabilityMargin())
        .isCloseTo(0, within(1e-9));
    assertThat(compute(withRate(0.99 * rate), memory, settings).isStable()).isTrue();
    assertThat(compute(withRate(1.01 * rate), memory, settings).isStable()).isFalse();
    // Nobody is counted as leaving inside a segment, so the fluid model carries more.
    assertThat(rate).isLessThan(fluid(rate, memory).sustainableRate());
  }

  private static Settings withSlack(double slack) {
    return new Settings(3, List.of(), OptionalDouble.of(slack), 10_000, 0.05);
  }

  private static Workload withRate(double rate) {
    return new Workload(rate, WORKLOAD.promptTokens(), WORKLOAD.outputTokens());
  }

  private static FluidModel fluid(double rate, KvCapacity memory) {
    return FluidModel.of(withRate(rate), COST, memory);
  }

  @Test
  void forOneSlackThresholdsDoNotDependOnTheRateButStabilityDoes() {
    KvCapacity memory = new KvCapacity(1000, 16, 0);
    NestedWaitThresholds slow = compute(WORKLOAD, memory, withSlack(1.5));
    NestedWaitThresholds fast = compute(withRate(1000), memory, withSlack(1.5));
    assertThat(fast.threshold(1)).isCloseTo(slow.threshold(1), within(1e-9));
    assertThat(fast.isStable()).isFalse();
    assertThat(slow.cycleSeconds()).isCloseTo(200 * fast.cycleSeconds(), within(1e-6));
  }

  @Test
  void boundariesThatNobodyCrossesAreDropped() {
    Settings settings = new Settings(3, List.of(50, 300, 400), OptionalDouble.empty(), 1000, 0.05);
    NestedWaitThresholds t = compute(WORKLOAD, new KvCapacity(4000, 16, 0), settings);
    assertThat(t.segments()).isEqualTo(2);
    assertThat(t.boundary(2)).isEqualTo(300);
    Workload equal = new Workload(1, LengthHistogram.of(5), LengthHistogram.of(7, 7, 7));
    NestedWaitThresholds single = compute(equal, new KvCapacity(100, 16, 0), Settings.defaults());
    assertThat(single.segments()).isEqualTo(1);
    assertThat(single.boundary(1)).isEqualTo(7);
  }

  @Test
  void aPoolThatIsTooSmallIsNamedWithItsRemedies() {
    Settings settings = new Settings(3, List.of(), OptionalDouble.of(1.1), 10_000, 0.05);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> compute(WORKLOAD, new KvCapacity(20, 16, 0), settings))
        .withMessageContaining("the pool has 320")
        .withMessageContaining("boundaries=[150, 225, 300]")
        .withMessageContaining("slack=1.1")
        .withMessageContaining("enlarge the pool");
  }

  @Test
  void settingsRefuseNonsense() {
    OptionalDouble none = OptionalDouble.empty();
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Settings(0, List.of(), none, 1, 0.05));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Settings(1, List.of(5, 5), none, 1, 0.05))
        .withMessageContaining("[5, 5], must increase");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Settings(1, List.of(0), none, 1, 0.05));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Settings(1, List.of(), OptionalDouble.of(1), 1, 0.05));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Settings(1, List.of(), none, 0, 0.05));
    assertThatIllegalArgumentException().isThrownBy(() -> new Settings(1, List.of(), none, 1, 0.5));
  }
}
