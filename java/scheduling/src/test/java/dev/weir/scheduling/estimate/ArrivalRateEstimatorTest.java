package dev.weir.scheduling.estimate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.api.Test;

class ArrivalRateEstimatorTest {
  private final Random random = new Random(3);
  private double now;

  private void poisson(ArrivalRateEstimator estimator, double rate, int count) {
    for (int i = 0; i < count; i++) {
      now -= Math.log(1 - random.nextDouble()) / rate;
      estimator.arrived(now);
    }
  }

  @Test
  void nothingIsKnownBeforeTheSecondArrival() {
    ArrivalRateEstimator estimator = new ArrivalRateEstimator(100);
    assertThat(estimator.rate()).isNaN();
    estimator.arrived(5);
    assertThat(estimator.rate()).isNaN();
    estimator.arrived(5.5);
    assertThat(estimator.rate()).isEqualTo(2);
  }

  @Test
  void evenGapsGiveTheirRateExactly() {
    ArrivalRateEstimator estimator = new ArrivalRateEstimator(50);
    for (int i = 0; i < 1000; i++) {
      estimator.arrived(0.25 * i);
    }
    assertThat(estimator.rate()).isCloseTo(4, within(1e-9));
    assertThat(estimator.changes()).isZero();
  }

  @Test
  void aSteadyRateIsFoundAndSeldomTakenForAChange() {
    ArrivalRateEstimator estimator = new ArrivalRateEstimator(2000);
    poisson(estimator, 10, 20_000);
    // Standard deviation sqrt(1 / (2 * 2000)) = 1.6 %.
    assertThat(estimator.rate()).isCloseTo(10, within(0.8));
    // A false alarm about every e^8 = 2,981 arrivals, on either side.
    assertThat(estimator.changes()).isLessThan(30);
  }

  @Test
  void aChangeIsFollowedMuchFasterThanTheMemoryWouldAllow() {
    for (double factor : new double[] {3, 1 / 3.0}) {
      ArrivalRateEstimator estimator = new ArrivalRateEstimator(2000);
      poisson(estimator, 10, 5000);
      long before = estimator.changes();
      poisson(estimator, 10 * factor, 100);
      assertThat(estimator.changes()).isGreaterThan(before);
      assertThat(estimator.rate()).isCloseTo(10 * factor, within(3 * factor));
    }
  }

  @Test
  void anOpenGapCountsWhenItIsLong() {
    ArrivalRateEstimator estimator = new ArrivalRateEstimator(10);
    for (int i = 0; i <= 20; i++) {
      estimator.arrived(i);
    }
    assertThat(estimator.rate(20.5)).isEqualTo(estimator.rate());
    assertThat(estimator.rate(120)).isLessThan(0.15);
  }

  @Test
  void aDeclaredRateIsThePrior() {
    ArrivalRateEstimator estimator = new ArrivalRateEstimator(1000);
    estimator.expect(5, 64);
    assertThat(estimator.rate()).isEqualTo(5);
    for (int i = 0; i <= 64; i++) {
      estimator.arrived(0.2 * i);
    }
    assertThat(estimator.rate()).isCloseTo(5, within(1e-6));
  }

  @Test
  void allAtOnceIsAnInfiniteRateUntilTimeGoesOn() {
    ArrivalRateEstimator estimator = new ArrivalRateEstimator(1000);
    for (int i = 0; i < 10; i++) {
      estimator.arrived(1);
    }
    assertThat(estimator.rate()).isEqualTo(Double.POSITIVE_INFINITY);
    assertThat(estimator.rate(2)).isCloseTo(10, within(0.05));
  }

  @Test
  void refusesAMemoryBelowOne() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new ArrivalRateEstimator(0))
        .withMessageContaining("memory is 0");
  }
}
