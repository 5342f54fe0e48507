package dev.weir.scheduling.fluid;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.RequestClass;
import dev.weir.scheduling.Workload;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class WaitThresholdsTest {
  private static final IterationCost COST = new IterationCost(0.01, 1e-5);
  private static final KvCapacity MEMORY = new KvCapacity(625, 16, 0);
  private static final BatchLimits WIDE = new BatchLimits(10_000, 10_000);

  // w = (8 + 1)(20 + 4) = 216 and (4 + 1)(10 + 2) = 60; sum of lambda w = 3960.
  private static final RequestClass LONG = new RequestClass(10, 20, 8);
  private static final RequestClass SHORT = new RequestClass(30, 10, 4);
  private static final List<RequestClass> CLASSES = List.of(LONG, SHORT);

  /** Tokens and duration of an iteration with {@code n} requests at every stage, one by one. */
  private static double tokensOneByOne(double[] n, List<RequestClass> classes) {
    double tokens = 0;
    for (int j = 0; j < n.length; j++) {
      for (int stage = 0; stage <= classes.get(j).outputTokens(); stage++) {
        tokens += n[j] * (classes.get(j).promptTokens() + stage);
      }
    }
    return tokens;
  }

  @Test
  void theLargestThresholdsFillThePool() {
    WaitThresholds t = WaitThresholds.largest(CLASSES, COST, MEMORY);
    assertThat(t.size()).isEqualTo(2);
    assertThat(t.requestClass(0)).as("ascending work").isEqualTo(SHORT);
    assertThat(t.requestClass(1)).isEqualTo(LONG);
    double cycle = 10_000 / 3960.0;
    assertThat(t.threshold(0)).isCloseTo(30 * cycle, within(1e-9));
    assertThat(t.threshold(1)).isCloseTo(10 * cycle, within(1e-9));
    assertThat(t.occupancyCap(0)).isCloseTo(5 * 30 * cycle, within(1e-9));
    assertThat(t.occupancyCap(1)).isCloseTo(9 * 10 * cycle, within(1e-9));
    assertThat(t.admissionsPerIteration()).isCloseTo(40 * cycle, within(1e-9));
    assertThat(t.coreTokens()).isCloseTo(10_000, within(1e-6));
    assertThat(t.memoryMargin()).isCloseTo(0, within(1e-9));
    assertThat(t.cycleSeconds()).isCloseTo(cycle, within(1e-12));
    assertThat(t.iterationSeconds()).isCloseTo(0.11, within(1e-9));
    assertThat(t.isStable()).isTrue();
    assertThat(t.stabilityMargin()).isCloseTo(1 - 0.11 / cycle, within(1e-9));
  }

  @Test
  void tokensAndDurationAreThoseOfAnIterationOverAllStages() {
    double[] n = {3, 7};
    WaitThresholds t = WaitThresholds.of(CLASSES, n, COST, MEMORY);
    assertThat(t.coreTokens()).isCloseTo(tokensOneByOne(n, CLASSES), within(1e-9));
    assertThat(t.coreTokens()).isCloseTo(3 * 216 + 7 * 60, within(1e-9));
    assertThat(t.iterationSeconds()).isCloseTo(0.01 + 1e-5 * 1068, within(1e-12));
    assertThat(t.threshold(0)).as("thresholds go with their classes").isEqualTo(7);
    // 7 / 30 is less than 3 / 10.
    assertThat(t.cycleSeconds()).isCloseTo(7 / 30.0, within(1e-12));
    assertThat(t.memoryMargin()).isCloseTo(1 - 0.1068, within(1e-9));
  }

  @Test
  void theShortestCycleIsTheIterationInEquilibrium() {
    double least = FluidModel.of(CLASSES, COST, MEMORY).iterationSeconds();
    double most = 10_000 / 3960.0;
    WaitThresholds t = WaitThresholds.canonical(CLASSES, COST, MEMORY, least * (1 + 1e-12));
    assertThat(t.iterationSeconds()).isCloseTo(least, within(1e-9));
    assertThat(t.stabilityMargin()).isCloseTo(0, within(1e-9));
    assertThat(WaitThresholds.canonical(CLASSES, COST, MEMORY, most).isStable()).isTrue();
    for (double cycle : new double[] {0.99 * least, 1.01 * most, Double.NaN}) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> WaitThresholds.canonical(CLASSES, COST, MEMORY, cycle))
          .withMessageContaining("cycle is " + cycle)
          .withMessageContaining("0.0104123..2.52525")
          .withMessageContaining("10000 KV tokens");
    }
  }

  @Test
  void aLoadThatNoThresholdsCarryIsNamed() {
    // mu = 10000 / (60 * 0.11) = 1515.
    List<RequestClass> flood = List.of(new RequestClass(1600, 10, 4));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> WaitThresholds.canonical(flood, COST, MEMORY, 0.1))
        .withMessageContaining("1600 requests/s")
        .withMessageContaining("sustains 1515");
    WaitThresholds t = WaitThresholds.largest(flood, COST, MEMORY);
    assertThat(t.isStable()).isFalse();
    assertThat(t.stabilityMargin()).isCloseTo(1 - 0.11 / (10_000 / 96_000.0), within(1e-9));
    List<RequestClass> just = List.of(new RequestClass(1515, 10, 4));
    assertThat(WaitThresholds.largest(just, COST, MEMORY).isStable()).isTrue();
  }

  @Test
  void wholeThresholdsHaveSlackAndAreNoLargerThanThat() {
    // dT* = 0.01 / 0.9604, the largest T is 10000 / 3960; T = 0.16215.
    WaitThresholds t = WaitThresholds.whole(CLASSES, COST, MEMORY, WIDE);
    assertThat(t.threshold(0)).isEqualTo(5);
    assertThat(t.threshold(1)).isEqualTo(2);
    assertThat(t.stabilityMargin()).isBetween(0.5, 1.0);
    assertThat(t.memoryMargin()).isBetween(0.5, 1.0);
  }

  @Test
  void wholeThresholdsFitThePool() {
    // Rates of 3 : 1 that nothing carries: 24 and 8 fit exactly.
    List<RequestClass> flood =
        List.of(new RequestClass(30_000, 10, 4), new RequestClass(10_000, 20, 8));
    KvCapacity exact = new KvCapacity(8 * 216 + 24 * 60, 1, 0);
    WaitThresholds t = WaitThresholds.whole(flood, COST, exact, WIDE);
    assertThat(t.threshold(0)).isEqualTo(24);
    assertThat(t.threshold(1)).isEqualTo(8);
    assertThat(t.isStable()).isFalse();
    WaitThresholds less =
        WaitThresholds.whole(flood, COST, new KvCapacity(exact.tokens() - 1, 1, 0), WIDE);
    assertThat(less.threshold(0)).isEqualTo(23);
    assertThat(less.threshold(1)).isEqualTo(8);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> WaitThresholds.whole(CLASSES, COST, new KvCapacity(275, 1, 0), WIDE))
        .withMessageContaining("needs 276 KV tokens")
        .withMessageContaining("the pool has 275")
        .withMessageContaining("enlarge the pool");
  }

  @Test
  void wholeThresholdsFitTheIteration() {
    List<RequestClass> flood =
        List.of(new RequestClass(30_000, 10, 4), new RequestClass(10_000, 20, 8));
    // 4 of 30 and 8 of 10: n requests of the rare class make 3 * 4 n + 8 n.
    WaitThresholds t = WaitThresholds.whole(flood, COST, MEMORY, new BatchLimits(101, 1000));
    assertThat(t.threshold(0)).isEqualTo(15);
    assertThat(t.threshold(1)).isEqualTo(5);
    assertThat(t.sequences()).isEqualTo(100);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> t.requireSequences(new BatchLimits(99, 1000)))
        .withMessageContaining("runs 100 requests at once")
        .withMessageContaining("at most 99");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> WaitThresholds.whole(CLASSES, COST, MEMORY, new BatchLimits(11, 1000)))
        .withMessageContaining("runs 12 requests at once");
  }

  @Test
  void aChosenCycleIsRoundedUpToWholeThresholds() {
    WaitThresholds t = WaitThresholds.canonicalWhole(CLASSES, COST, MEMORY, 0.51);
    assertThat(t.threshold(0)).isEqualTo(16);
    assertThat(t.threshold(1)).isEqualTo(6);
    assertThat(WaitThresholds.canonicalWhole(CLASSES, COST, MEMORY, 0.3).threshold(0)).isEqualTo(9);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> WaitThresholds.canonicalWhole(CLASSES, COST, MEMORY, 3))
        .withMessageContaining("cycle is 3.0");
  }

  @Test
  void refusesNonsense() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> WaitThresholds.of(CLASSES, new double[] {1}, COST, MEMORY))
        .withMessageContaining("thresholds has 1 values, must have one for each of 2 classes");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> WaitThresholds.of(CLASSES, new double[] {1, 0}, COST, MEMORY))
        .withMessageContaining("thresholds has 0.0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> WaitThresholds.of(CLASSES, new double[] {40, 40}, COST, MEMORY))
        .withMessageContaining("needs 11040 KV tokens");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> WaitThresholds.largest(List.of(), COST, MEMORY))
        .withMessageContaining("at least one class");
  }

  @Test
  void namedClassesAreTakenAsTheyAreAndEqualOnesMerged() {
    Workload workload =
        Workload.of(List.of(LONG, SHORT, new RequestClass(5, 10, 4), new RequestClass(1, 30, 4)));
    assertThat(WaitThresholds.classesOf(workload, 16))
        .containsExactly(
            new RequestClass(35, 10, 4), new RequestClass(1, 30, 4), new RequestClass(10, 20, 8));
  }

  @Test
  void histogramsMakeForAClassAnOutputLength() {
    Workload workload = new Workload(8, LengthHistogram.of(10, 13), LengthHistogram.of(4, 4, 4, 9));
    assertThat(WaitThresholds.classesOf(workload, 2))
        .containsExactly(new RequestClass(6, 12, 4), new RequestClass(2, 12, 9));
  }

  @Test
  void manyLengthsAreGroupedWithEqualWork() {
    Workload workload =
        new Workload(
            10,
            LengthHistogram.of(50),
            LengthHistogram.of(IntStream.rangeClosed(1, 400).toArray()));
    List<RequestClass> classes = WaitThresholds.classesOf(workload, 8);
    assertThat(classes).hasSize(8);
    assertThat(classes.getLast().outputTokens()).isEqualTo(400);
    assertThat(classes.stream().mapToDouble(RequestClass::arrivalRate).sum())
        .isCloseTo(10, within(1e-9));
    double total = 10 * FluidModel.work(workload);
    int from = 0;
    for (RequestClass c : classes) {
      double work = 0;
      for (int s = from + 1; s <= c.outputTokens(); s++) {
        work += new RequestClass(10.0 / 400, 50, s).work() * 10 / 400;
      }
      assertThat(work).isCloseTo(total / 8, within(0.05 * total / 8));
      assertThat(c.arrivalRate()).isCloseTo((c.outputTokens() - from) / 40.0, within(1e-9));
      from = c.outputTokens();
    }
    double grouped = classes.stream().mapToDouble(c -> c.arrivalRate() * c.work()).sum();
    assertThat(grouped).as("a little more work").isBetween(total, 1.3 * total);
  }
}
