package dev.weir.scheduling.estimate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import com.sun.management.ThreadMXBean;
import dev.weir.scheduling.LengthHistogram;
import java.lang.management.ManagementFactory;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class SurvivalEstimatorTest {
  /** A request that has generated {@code tokens}, and ended if {@code ended}. */
  private static void observe(SurvivalEstimator estimator, int tokens, boolean ended) {
    for (int i = 0; i < estimator.intervals() - 1 && estimator.end(i) < tokens; i++) {
      estimator.survived(i);
    }
    if (ended) {
      estimator.ended(tokens);
    }
  }

  /** Kaplan and Meier's product over the observed lengths, as a textbook has it. */
  private static double productLimit(int[] tokens, boolean[] ended, int x) {
    double survival = 1;
    for (int t = 1; t <= x; t++) {
      int atRisk = 0;
      int deaths = 0;
      for (int i = 0; i < tokens.length; i++) {
        // One that runs and has generated t tokens is known to go on only when it generates more.
        atRisk += tokens[i] > t || (tokens[i] == t && ended[i]) ? 1 : 0;
        deaths += tokens[i] == t && ended[i] ? 1 : 0;
      }
      survival *= atRisk == 0 ? 1 : 1 - deaths / (double) atRisk;
    }
    return survival;
  }

  @Test
  void intervalsCoverEveryLength() {
    SurvivalEstimator estimator = new SurvivalEstimator(5000, 1000);
    for (int i = 1; i < estimator.intervals(); i++) {
      assertThat(estimator.end(i)).isGreaterThan(estimator.end(i - 1));
    }
    assertThat(estimator.end(estimator.intervals() - 1)).isEqualTo(5000);
    assertThat(estimator.intervals()).isLessThan(150);
    for (int tokens = 1; tokens <= 5000; tokens++) {
      int interval = estimator.intervalOf(tokens);
      assertThat(tokens).isLessThanOrEqualTo(estimator.end(interval));
      assertThat(tokens).isGreaterThan(interval == 0 ? 0 : estimator.end(interval - 1));
    }
  }

  @Test
  void agreesWithTheProductLimitOfCensoredData() {
    Random random = new Random(1);
    int count = 20_000;
    int[] tokens = new int[count];
    boolean[] ended = new boolean[count];
    SurvivalEstimator estimator = new SurvivalEstimator(100, 1e9);
    for (int i = 0; i < count; i++) {
      int length = 1 + (int) (-12 * Math.log(1 - random.nextDouble()));
      int seen = 1 + random.nextInt(40);
      ended[i] = length <= seen;
      tokens[i] = Math.min(length, seen);
      observe(estimator, tokens[i], ended[i]);
    }
    estimator.adopt();
    for (int x = 0; x <= 30; x++) {
      assertThat(estimator.survival(x))
          .as("P(length > %d)", x)
          .isCloseTo(productLimit(tokens, ended, x), within(2e-3));
    }
  }

  @Test
  void leavingOutThoseWhoRunWouldUnderestimate() {
    // Half end after 10 tokens, half after 1,000; at 100 tokens only the short ones have ended.
    SurvivalEstimator estimator = new SurvivalEstimator(2000, 1e9);
    for (int i = 0; i < 1000; i++) {
      observe(estimator, i % 2 == 0 ? 10 : 100, i % 2 == 0);
    }
    estimator.adopt();
    assertThat(estimator.survival(50)).isCloseTo(0.5, within(0.01));
  }

  @Test
  void momentsAreThoseOfTheSurvivalFunction() {
    SurvivalEstimator estimator = new SurvivalEstimator(3000, 1e9);
    Random random = new Random(2);
    for (int i = 0; i < 500; i++) {
      observe(estimator, 1 + random.nextInt(900), true);
    }
    for (int limit : new int[] {3000, 450, 33, 1}) {
      estimator.limit(limit);
      estimator.adopt();
      double mean = 0;
      double second = 0;
      for (int x = 0; x < 3000; x++) {
        mean += estimator.survival(x);
        second += (2 * x + 1) * estimator.survival(x);
      }
      assertThat(estimator.mean()).isCloseTo(mean, within(1e-3 * mean));
      assertThat(estimator.secondMoment()).isCloseTo(second, within(1e-3 * second));
    }
  }

  @Test
  void meanOfUniformLengths() {
    SurvivalEstimator estimator = new SurvivalEstimator(500, 1e9);
    for (int round = 0; round < 50; round++) {
      for (int length = 1; length <= 200; length++) {
        observe(estimator, length, true);
      }
    }
    estimator.adopt();
    assertThat(estimator.mean()).isCloseTo(100.5, within(0.5));
    // (n + 1)(2n + 1) / 6
    assertThat(estimator.secondMoment()).isCloseTo(201 * 401 / 6.0, within(80.0));
  }

  @Test
  void withNothingSeenEverybodyReachesTheLimit() {
    SurvivalEstimator estimator = new SurvivalEstimator(10_000, 100);
    estimator.limit(256);
    estimator.adopt();
    assertThat(estimator.survival(255)).isEqualTo(1);
    assertThat(estimator.survival(256)).isZero();
    assertThat(estimator.mean()).isEqualTo(256);
  }

  @Test
  void anUnseenTailIsLongAtFirstAndExponentialLater() {
    SurvivalEstimator estimator = new SurvivalEstimator(100_000, 1e9);
    for (int i = 0; i < 199; i++) {
      observe(estimator, 50, true);
    }
    estimator.adopt();
    // One phantom in 200.
    assertThat(estimator.survival(60)).isCloseTo(0.005, within(1e-4));
    assertThat(estimator.survival(90_000)).isEqualTo(estimator.survival(60));
    observe(estimator, 50, true);
    estimator.adopt();
    assertThat(estimator.survival(60)).isLessThan(0.005);
    assertThat(estimator.survival(1000)).isLessThan(1e-9);
    assertThat(estimator.mean()).isCloseTo(50, within(2.0));
  }

  @Test
  void aDeclaredDistributionIsThePriorAndFades() {
    SurvivalEstimator estimator = new SurvivalEstimator(1000, 200);
    estimator.expect(LengthHistogram.of(IntStream.rangeClosed(1, 100).toArray()), 64);
    estimator.adopt();
    assertThat(estimator.survival(50)).isCloseTo(0.5, within(0.01));
    for (int i = 0; i < 2000; i++) {
      observe(estimator, 400, true);
    }
    assertThat(estimator.moved()).isGreaterThan(0.4);
    estimator.adopt();
    assertThat(estimator.survival(50)).isGreaterThan(0.99);
    assertThat(estimator.moved()).isLessThan(1e-12);
  }

  @Test
  void aShiftIsFollowedAfterAsManyDeparturesAsItRemembers() {
    SurvivalEstimator estimator = new SurvivalEstimator(1000, 300);
    for (int i = 0; i < 5000; i++) {
      observe(estimator, 10, true);
    }
    for (int i = 0; i < 300; i++) {
      observe(estimator, 200, true);
    }
    estimator.adopt();
    // 1 - 1/e of the weight has moved.
    assertThat(estimator.survival(100)).isCloseTo(1 - Math.exp(-1), within(0.02));
  }

  @Test
  void hugeWeightsAreScaledDown() {
    SurvivalEstimator estimator = new SurvivalEstimator(100, 2);
    for (int i = 0; i < 100_000; i++) {
      observe(estimator, 1 + i % 2 * 19, true);
    }
    estimator.adopt();
    assertThat(estimator.survival(5)).isBetween(0.3, 0.8);
  }

  @Test
  void conditionalSurvival() {
    SurvivalEstimator estimator = new SurvivalEstimator(1000, 1e9);
    for (int i = 0; i < 3000; i++) {
      observe(estimator, new int[] {20, 30, 200}[i % 3], true);
    }
    estimator.limit(600);
    estimator.adopt();
    double[] into = new double[3 * estimator.intervals() + 2];
    for (int ahead : new int[] {1, 3, 30, 170, 400, 599, 600, 5000}) {
      estimator.conditional(ahead, into, 2, 3);
      for (int i = 0; i < estimator.intervals(); i++) {
        int start = i == 0 ? 0 : estimator.end(i - 1);
        double now = estimator.survival(start);
        double expected = now > 0 ? estimator.survival(start + ahead) / now : 1;
        assertThat(into[2 + 3 * i]).as("%d + %d", start, ahead).isCloseTo(expected, within(1e-12));
      }
    }
    estimator.conditional(30, into, 2, 3);
    assertThat(into[2 + 3 * estimator.intervalOf(25)]).isCloseTo(0.5, within(0.01));
    assertThat(into[2 + 3 * estimator.intervalOf(100)]).isCloseTo(1, within(0.02));
  }

  @Test
  void probabilitiesStayProbabilitiesForTheLongestOutputs() {
    int longest = Integer.MAX_VALUE / 2;
    SurvivalEstimator estimator = new SurvivalEstimator(longest, 100);
    estimator.expect(LengthHistogram.of(1000, 1_000_000, longest / 2, longest - 9), 64);
    estimator.adopt();
    double[] into = new double[estimator.intervals()];
    for (int ahead : new int[] {1, longest / 2, longest, longest + longest / 7}) {
      estimator.conditional(ahead, into, 0, 1);
      for (double probability : into) {
        assertThat(probability).isBetween(0.0, 1.0);
      }
    }
  }

  @Test
  void aLengthAtWhichManyEndStaysSharp() {
    SurvivalEstimator estimator = new SurvivalEstimator(4000, 1e9);
    estimator.expect(LengthHistogram.of(400, 1500), 64);
    for (int i = 0; i < 4000; i++) {
      observe(estimator, i % 2 == 0 ? 400 : 1500, true);
    }
    estimator.adopt();
    assertThat(estimator.survival(399)).isCloseTo(1, within(0.005));
    assertThat(estimator.survival(400)).isCloseTo(0.5, within(0.005));
    assertThat(estimator.survival(1499)).isCloseTo(0.5, within(0.005));
    assertThat(estimator.survival(1500)).isCloseTo(0, within(0.005));
    assertThat(estimator.mean()).isCloseTo(950, within(5.0));
    assertThat(estimator.secondMoment()).isCloseTo((160_000 + 2_250_000) / 2.0, within(10_000.0));
  }

  @Test
  void observingAllocatesNothing() {
    SurvivalEstimator estimator = new SurvivalEstimator(4096, 500);
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    for (int round = 0; round < 2; round++) {
      long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < 10_000; i++) {
        observe(estimator, 1 + i % 700, true);
        if (i % 16 == 0 && estimator.moved() > 0.02) {
          estimator.adopt();
        }
      }
      if (round == 1) {
        assertThat(threads.getCurrentThreadAllocatedBytes() - before).isLessThan(10_000);
      }
    }
  }

  @Test
  void refusesWhatMakesNoSense() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new SurvivalEstimator(0, 10))
        .withMessageContaining("longest is 0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new SurvivalEstimator(10, 0.5))
        .withMessageContaining("memory is 0.5");
  }
}
