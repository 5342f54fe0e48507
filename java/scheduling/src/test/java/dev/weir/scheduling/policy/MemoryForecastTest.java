package dev.weir.scheduling.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.estimate.SurvivalEstimator;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class MemoryForecastTest {
  private static final int LONGEST = 400;

  private record Resident(int prompt, int generated, int max) {}

  private static SurvivalEstimator uniform() {
    SurvivalEstimator survival = new SurvivalEstimator(LONGEST, 1e9);
    int[] lengths = new int[200];
    for (int i = 0; i < lengths.length; i++) {
      lengths[i] = i + 1;
    }
    survival.expect(LengthHistogram.of(lengths), 1e6);
    survival.adopt();
    return survival;
  }

  private static MemoryForecast forecast(SurvivalEstimator survival, int blockSize) {
    MemoryForecast forecast = new MemoryForecast(LONGEST, survival.intervals(), blockSize);
    forecast.use(survival, LONGEST);
    forecast.clear();
    return forecast;
  }

  private static void add(MemoryForecast forecast, SurvivalEstimator survival, Resident r) {
    int interval = survival.intervalOf(Math.max(1, r.generated));
    forecast.include(interval, r.prompt, r.generated, r.max);
  }

  /** Futures of the same residents, drawn from the true distribution, uniform on 1..200. */
  private static final class Futures {
    private static final int FURTHEST = 200;
    private static final int SAMPLES = 4000;

    final MemoryForecast forecast;
    final double[] mean = new double[FURTHEST];
    final double[] deviation = new double[FURTHEST];
    final double[] peaks = new double[SAMPLES];

    Futures(int count, int seed) {
      SurvivalEstimator survival = uniform();
      forecast = forecast(survival, 1);
      Random random = new Random(seed);
      List<Resident> residents = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        // At the beginning of an interval, where the forecast takes a resident to be.
        int generated = survival.end(random.nextInt(20));
        Resident r = new Resident(1 + random.nextInt(50), generated, LONGEST);
        residents.add(r);
        forecast.include(survival.intervalOf(generated) + 1, r.prompt, generated, LONGEST);
      }
      double[] squares = new double[FURTHEST];
      for (int sample = 0; sample < SAMPLES; sample++) {
        double[] tokens = new double[FURTHEST];
        for (Resident r : residents) {
          int length = r.generated + 1 + random.nextInt(200 - r.generated);
          for (int h = 0; h < FURTHEST && r.generated + h < length; h++) {
            tokens[h] += r.prompt + r.generated + h;
          }
        }
        for (int h = 0; h < FURTHEST; h++) {
          mean[h] += tokens[h] / SAMPLES;
          squares[h] += tokens[h] * tokens[h] / SAMPLES;
          peaks[sample] = Math.max(peaks[sample], tokens[h]);
        }
      }
      for (int h = 0; h < FURTHEST; h++) {
        deviation[h] = Math.sqrt(Math.max(0, squares[h] - mean[h] * mean[h]));
      }
    }
  }

  @Test
  void meanAndMarginAreThoseOfSimulatedFutures() {
    Futures futures = new Futures(60, 4);
    double peak = 0;
    double needed = 0;
    for (int h = 1; h < Futures.FURTHEST; h++) {
      peak = Math.max(peak, futures.mean[h]);
      needed = Math.max(needed, futures.mean[h] + 2 * futures.deviation[h]);
    }
    assertThat(futures.forecast.peak()).isCloseTo(peak, within(0.02 * peak));
    assertThat(futures.forecast.fits(1.02 * needed, 2, Double.POSITIVE_INFINITY, LONGEST)).isTrue();
    assertThat(futures.forecast.fits(0.98 * needed, 2, Double.POSITIVE_INFINITY, LONGEST))
        .isFalse();
    assertThat(futures.forecast.fits(1.02 * (peak + 50), 2, 50, LONGEST))
        .as("limited margin")
        .isTrue();
    assertThat(futures.forecast.fits(0.98 * (peak + 50), 2, 50, LONGEST)).isFalse();
  }

  @Test
  void overflowProbabilityIsTheShareOfSimulatedFutures() {
    for (int count : new int[] {25, 60, 200}) {
      Futures futures = new Futures(count, count);
      double[] peaks = futures.peaks.clone();
      Arrays.sort(peaks);
      for (double probability : new double[] {0.5, 0.3, 0.1, 0.03}) {
        double capacity = peaks[(int) ((1 - probability) * peaks.length)];
        assertThat(futures.forecast.overflowProbability(capacity))
            .as("%d residents, exceeded by %s", count, probability)
            // The sum of few lengths has a heavier tail than a normal one.
            .isBetween((count < 50 ? 0.4 : 0.6) * probability, 1.6 * probability);
      }
      assertThat(futures.forecast.overflowProbability(3 * peaks[peaks.length - 1])).isZero();
      assertThat(futures.forecast.overflowProbability(1)).isCloseTo(1, within(1e-9));
    }
  }

  @Test
  void nobodyOutlivesItsDeclaredMaximum() {
    SurvivalEstimator survival = uniform();
    MemoryForecast forecast = forecast(survival, 1);
    add(forecast, survival, new Resident(10, 0, 1));
    assertThat(forecast.peak()).as("gone after one iteration").isZero();
    add(forecast, survival, new Resident(10, 0, 5));
    assertThat(forecast.peak()).isCloseTo(14 * 196 / 200.0, within(0.1));
  }

  @Test
  void halfABlockIsLostInEachSequence() {
    SurvivalEstimator survival = uniform();
    MemoryForecast forecast = forecast(survival, 16);
    add(forecast, survival, new Resident(10, 0, 5));
    assertThat(forecast.peak()).isCloseTo((14 + 7.5) * 196 / 200.0, within(0.2));
  }

  @Test
  void withCertainLengthsItFitsOrItDoesNot() {
    SurvivalEstimator survival = new SurvivalEstimator(LONGEST, 1e9);
    survival.limit(21);
    survival.adopt();
    MemoryForecast forecast = forecast(survival, 1);
    for (int i = 0; i < 4; i++) {
      add(forecast, survival, new Resident(5, 0, 21));
    }
    // The last horizon is 20: each holds 5 + 20 tokens then.
    assertThat(forecast.peak()).isCloseTo(4 * 25, within(3.0));
    assertThat(forecast.fits(103, 2, Double.POSITIVE_INFINITY, LONGEST)).isTrue();
    assertThat(forecast.fits(97, 2, Double.POSITIVE_INFINITY, LONGEST)).isFalse();
    assertThat(forecast.overflowProbability(103)).isZero();
    assertThat(forecast.overflowProbability(97)).isEqualTo(1);
  }

  @Test
  void sumsByIntervalAreThoseOfEachResident() {
    SurvivalEstimator survival = uniform();
    MemoryForecast one = forecast(survival, 16);
    MemoryForecast grouped = forecast(survival, 16);
    Random random = new Random(9);
    for (int i = 0; i < 100; i++) {
      int generated = 1 + random.nextInt(150);
      int max = random.nextBoolean() ? LONGEST : generated + 1 + random.nextInt(200);
      int prompt = 1 + random.nextInt(100);
      int interval = survival.intervalOf(generated);
      one.include(interval, prompt, generated, max);
      grouped.add(interval, prompt, generated, max);
    }
    grouped.sum();
    assertThat(grouped.peak()).isCloseTo(one.peak(), within(1e-6));
    for (double capacity = 0.8 * one.peak(); capacity < 1.5 * one.peak(); capacity += 500) {
      assertThat(grouped.overflowProbability(capacity))
          .isCloseTo(one.overflowProbability(capacity), within(1e-9));
    }
    grouped.clear();
    assertThat(grouped.peak()).isZero();
  }

  @Test
  void ownLimitsCountWhereTheyMayCutSomebodyShort() {
    // Nobody generates more than 200 tokens: 50 and 120 may be cut short, 250 is not.
    SurvivalEstimator survival = uniform();
    for (int max : new int[] {50, 120, 250, LONGEST}) {
      MemoryForecast together = forecast(survival, 1);
      MemoryForecast oneByOne = forecast(survival, 1);
      for (int i = 0; i < 30; i++) {
        int interval = i % 20;
        int generated = survival.end(interval);
        together.add(interval, 5 + i, generated, max);
        oneByOne.include(interval, 5 + i, generated, max);
      }
      together.sum();
      double peak = oneByOne.peak();
      assertThat(together.peak()).as("max %d", max).isCloseTo(peak, within(1e-3 * peak));
      for (double capacity : new double[] {0.9 * peak, 1.05 * peak, 1.2 * peak}) {
        assertThat(together.overflowProbability(capacity))
            .as("max %d", max)
            .isCloseTo(oneByOne.overflowProbability(capacity), within(1e-3));
      }
    }
  }
}
