package dev.weir.scheduling.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.estimate.SurvivalEstimator;
import java.util.ArrayList;
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
    forecast.use(survival);
    forecast.clear();
    return forecast;
  }

  private static void add(MemoryForecast forecast, SurvivalEstimator survival, Resident r) {
    int interval = survival.intervalOf(Math.max(1, r.generated));
    forecast.add(interval, r.prompt, r.generated, r.max - r.generated);
  }

  @Test
  void marginIsThatOfSimulatedFutures() {
    SurvivalEstimator survival = uniform();
    MemoryForecast forecast = forecast(survival, 1);
    Random random = new Random(4);
    List<Resident> residents = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      // At the beginning of an interval, where the forecast takes a resident to be.
      int generated = survival.end(random.nextInt(20));
      Resident r = new Resident(1 + random.nextInt(50), generated, LONGEST);
      residents.add(r);
      forecast.add(survival.intervalOf(generated) + 1, r.prompt, generated, LONGEST - generated);
    }
    int samples = 4000;
    int furthest = 200;
    double[] sum = new double[furthest];
    double[] squares = new double[furthest];
    for (int sample = 0; sample < samples; sample++) {
      double[] tokens = new double[furthest];
      for (Resident r : residents) {
        int length = r.generated + 1 + random.nextInt(200 - r.generated);
        for (int h = 0; h < furthest && r.generated + h < length; h++) {
          tokens[h] += r.prompt + r.generated + h;
        }
      }
      for (int h = 0; h < furthest; h++) {
        sum[h] += tokens[h];
        squares[h] += tokens[h] * tokens[h];
      }
    }
    double capacity = 5000;
    double least = Double.POSITIVE_INFINITY;
    double peak = 0;
    for (int h = 4; h < furthest; h++) {
      double mean = sum[h] / samples;
      double deviation = Math.sqrt(squares[h] / samples - mean * mean);
      peak = Math.max(peak, mean);
      if (deviation > 1) {
        least = Math.min(least, (capacity - mean) / deviation);
      }
    }
    assertThat(forecast.peak()).isCloseTo(peak, within(0.02 * peak));
    assertThat(forecast.margin(capacity)).isCloseTo(least, within(0.05 * least + 0.1));
  }

  @Test
  void nobodyOutlivesItsDeclaredMaximum() {
    SurvivalEstimator survival = uniform();
    MemoryForecast forecast = forecast(survival, 1);
    add(forecast, survival, new Resident(10, 0, 1));
    assertThat(forecast.peak()).as("gone after one iteration").isZero();
    add(forecast, survival, new Resident(10, 0, 5));
    assertThat(forecast.peak()).isCloseTo(14 * 196 / 200.0, within(0.1));
    forecast.clear();
    add(forecast, survival, new Resident(10, 0, 8));
    // The horizons are 1, 2, 3, 4, 5, 6, 8: after 6 tokens it counts with the 17 that it holds
    // last.
    assertThat(forecast.peak()).isCloseTo(17 * 194 / 200.0, within(0.1));
  }

  @Test
  void halfABlockIsLostInEachSequence() {
    SurvivalEstimator survival = uniform();
    MemoryForecast forecast = forecast(survival, 16);
    add(forecast, survival, new Resident(10, 0, 5));
    assertThat(forecast.peak()).isCloseTo((14 + 7.5) * 196 / 200.0, within(0.2));
  }

  @Test
  void withCertainLengthsTheMarginIsAllOrNothing() {
    SurvivalEstimator survival = new SurvivalEstimator(LONGEST, 1e9);
    survival.limit(20);
    survival.adopt();
    MemoryForecast forecast = forecast(survival, 1);
    for (int i = 0; i < 4; i++) {
      add(forecast, survival, new Resident(5, 0, 20));
    }
    // Each holds 5 + 19 tokens when the last one is computed.
    assertThat(forecast.peak()).isCloseTo(4 * 24, within(1e-9));
    assertThat(forecast.margin(96.1)).isGreaterThan(50);
    assertThat(forecast.margin(95.9)).isLessThan(-50);
  }

  @Test
  void removingTakesBackWhatAddingPutIn() {
    SurvivalEstimator survival = uniform();
    MemoryForecast forecast = forecast(survival, 16);
    add(forecast, survival, new Resident(30, 40, 300));
    double before = forecast.margin(500);
    forecast.add(0, 100, 0, 300);
    assertThat(forecast.margin(500)).isLessThan(before);
    forecast.remove(0, 100, 0, 300);
    assertThat(forecast.margin(500)).isCloseTo(before, within(1e-6));
  }
}
