package dev.weir.simulation.metrics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;
import static org.assertj.core.data.Percentage.withPercentage;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class BacklogSeriesTest {
  /**
   * A backlog that is given by its value in each of the twenty batches of 20..40 s, and is 0
   * before.
   */
  private static BacklogTrend trend(int... values) {
    BacklogSeries series = new BacklogSeries();
    int backlog = 0;
    for (int i = 0; i < values.length; i++) {
      int change = values[i] - backlog;
      for (int j = 0; j < Math.abs(change); j++) {
        series.add(20 + i, Integer.signum(change));
      }
      backlog = values[i];
    }
    return series.trend(0, 40).orElseThrow();
  }

  /**
   * The expected figures were worked out with NumPy; t is 1.28, below the quantile 1.73. Slices of
   * 16 ms limit the precision.
   */
  @Test
  void slopeAndItsErrorAreThoseOfARegressionOverBatchMeans() {
    BacklogTrend trend = trend(3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4);
    assertThat(trend.mean()).isCloseTo(4.85, offset(1e-3));
    assertThat(trend.growth()).isCloseTo(0.131579, offset(1e-4));
    assertThat(trend.standardError()).isCloseTo(0.10302, offset(1e-3));
    assertThat(trend.significant()).isFalse();
    assertThat(trend.stable(1e-9)).isTrue();
  }

  @Test
  void steadyGrowthIsFoundAndJudgedByTheArrivalRate() {
    int[] values = new int[20];
    for (int i = 0; i < 20; i++) {
      values[i] = 10 * i + i % 2;
    }
    BacklogTrend trend = trend(values);
    assertThat(trend.growth()).isCloseTo(10, withPercentage(1));
    assertThat(trend.significant()).isTrue();
    assertThat(trend.stable(100)).isFalse();
    // 200 in 20 s, three deviations of the mean of 95 are 29.
    assertThat(trend.seconds()).isEqualTo(20);
    assertThat(trend.stable(2000)).isTrue();
  }

  @Test
  void growthThatAPoissonNumberExplainsIsNone() {
    int[] values = new int[20];
    for (int i = 0; i < 20; i++) {
      values[i] = 90 + i;
    }
    BacklogTrend trend = trend(values);
    assertThat(trend.significant()).isTrue();
    assertThat(trend.growth()).isCloseTo(1, withPercentage(1));
    assertThat(trend.stable(1)).isTrue();
  }

  @Test
  void aShrinkingBacklogIsStable() {
    int[] values = new int[20];
    for (int i = 0; i < 20; i++) {
      values[i] = 200 - 10 * i;
    }
    assertThat(trend(values).stable(1)).isTrue();
  }

  @Test
  void nobodyInTheSystemIsStable() {
    BacklogTrend trend = new BacklogSeries().trend(0, 10).orElseThrow();
    assertThat(trend.mean()).isZero();
    assertThat(trend.stable(1)).isTrue();
  }

  @Test
  void withoutAWindowThereIsNoTrend() {
    assertThat(new BacklogSeries().trend(3, 3)).isEmpty();
    assertThat(new BacklogSeries().trend(Double.NaN, Double.NaN)).isEmpty();
  }

  /** Slices have doubled many times by then; the mean number in the system is counted directly. */
  @Test
  void longRunsKeepTheirMean() {
    SplittableRandom random = new SplittableRandom(4);
    BacklogSeries series = new BacklogSeries();
    double area = 0;
    for (int i = 0; i < 50_000; i++) {
      double from = random.nextDouble(90_000);
      double until = from + random.nextDouble(200);
      series.add(until, -1);
      series.add(from, 1);
      area += Math.max(0, Math.min(until, 100_000) - Math.max(from, 50_000));
    }
    BacklogTrend trend = series.trend(0, 100_000).orElseThrow();
    assertThat(trend.mean()).isCloseTo(area / 50_000, withPercentage(0.1));
  }
}
