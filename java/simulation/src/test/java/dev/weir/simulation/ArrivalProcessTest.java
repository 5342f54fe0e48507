package dev.weir.simulation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Percentage.withPercentage;

import java.util.SplittableRandom;
import java.util.function.DoubleSupplier;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ArrivalProcessTest {
  private static final int SAMPLES = 400_000;

  private static double[] gaps(String process, long seed) {
    DoubleSupplier gaps = ArrivalProcess.parse(process).start(new SplittableRandom(seed));
    return DoubleStream.generate(gaps).limit(SAMPLES).toArray();
  }

  private static double mean(double[] samples) {
    return DoubleStream.of(samples).average().orElseThrow();
  }

  private static double variation(double[] samples) {
    double mean = mean(samples);
    double variance =
        DoubleStream.of(samples).map(x -> (x - mean) * (x - mean)).average().orElseThrow();
    return Math.sqrt(variance) / mean;
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {"poisson:40;0.025;1", "gamma:40,0.5;0.025;0.5", "gamma:4,3;0.25;3"})
  void gapsHaveTheirMeanAndVariation(String process, double mean, double variation) {
    double[] gaps = gaps(process, 1);
    assertThat(mean(gaps)).isCloseTo(mean, withPercentage(2));
    assertThat(variation(gaps)).isCloseTo(variation, withPercentage(3));
  }

  @Test
  void aModulatedProcessHasTheRateOfItsStatesWeightedByTime() {
    // 3 s of 100/s and 1 s of 20/s: 320 in 4 s.
    double[] gaps = gaps("mmpp:100,20,3,1", 1);
    assertThat(1 / mean(gaps)).isCloseTo(80, withPercentage(2));
    assertThat(variation(gaps)).isGreaterThan(1.2);
    // Gaps of one state follow each other.
    double mean = mean(gaps);
    double covariance = 0;
    for (int i = 1; i < gaps.length; i++) {
      covariance += (gaps[i] - mean) * (gaps[i - 1] - mean) / gaps.length;
    }
    assertThat(covariance / (mean * mean)).isGreaterThan(0.1);
  }

  @Test
  void statesOfTheSameRateArePoisson() {
    double[] gaps = gaps("mmpp:50,50,0.1,0.2", 1);
    assertThat(mean(gaps)).isCloseTo(0.02, withPercentage(1));
    assertThat(variation(gaps)).isCloseTo(1, withPercentage(1));
  }

  @Test
  void theSameSeedGivesTheSameArrivals() {
    assertThat(gaps("gamma:3,2", 5)).isEqualTo(gaps("gamma:3,2", 5));
    assertThat(gaps("gamma:3,2", 5)).isNotEqualTo(gaps("gamma:3,2", 6));
    assertThat(gaps("at-once", 1)).containsOnly(0);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "poisson",
        "poisson:",
        "poisson:0",
        "poisson:1,2",
        "poisson:x",
        "gamma:1",
        "gamma:1,0",
        "gamma:1,Infinity",
        "mmpp:1,2,3",
        "mmpp:1,2,3,-4",
        "at-once:1",
        "now"
      })
  void refusesWhatIsNoProcess(String text) {
    assertThatThrownBy(() -> ArrivalProcess.parse(text))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageMatching("(?s).*(must be|write at-once).*");
  }

  @Test
  void itsTextCanBeParsedAgain() {
    for (String text :
        new String[] {"at-once", "poisson:3.0", "gamma:3.0,0.5", "mmpp:1.0,2.0,3.0,4.0"}) {
      assertThat(ArrivalProcess.parse(text)).hasToString(text);
    }
  }
}
