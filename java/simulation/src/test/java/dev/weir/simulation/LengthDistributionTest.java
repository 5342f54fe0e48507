package dev.weir.simulation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Percentage.withPercentage;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LengthDistributionTest {
  private static final int SAMPLES = 200_000;

  @TempDir Path folder;

  private static int[] sample(String distribution, long seed) {
    LengthDistribution lengths = LengthDistribution.parse(distribution);
    SplittableRandom random = new SplittableRandom(seed);
    return IntStream.generate(() -> lengths.sample(random)).limit(SAMPLES).toArray();
  }

  private static double mean(int[] samples) {
    return IntStream.of(samples).average().orElseThrow();
  }

  private static double deviation(int[] samples) {
    double mean = mean(samples);
    return Math.sqrt(
        IntStream.of(samples).mapToDouble(x -> (x - mean) * (x - mean)).sum() / SAMPLES);
  }

  @Test
  void fixedIsFixed() {
    assertThat(sample("fixed:64", 1)).containsOnly(64);
  }

  @Test
  void uniformHasItsBoundsAndMoments() {
    int[] samples = sample("uniform:8-64", 1);
    assertThat(IntStream.of(samples).min()).hasValue(8);
    assertThat(IntStream.of(samples).max()).hasValue(64);
    assertThat(mean(samples)).isCloseTo(36, withPercentage(0.5));
    // Variance of a discrete uniform distribution over 57 values: (57^2 - 1) / 12.
    assertThat(deviation(samples)).isCloseTo(Math.sqrt(3248 / 12.0), withPercentage(1));
  }

  @Test
  void lognormalHasItsMedianAndMean() {
    int[] samples = sample("lognormal:200,0.5", 1);
    assertThat((double) IntStream.of(samples).sorted().skip(SAMPLES / 2).findFirst().orElseThrow())
        .isCloseTo(200, withPercentage(1));
    double mean = 200 * Math.exp(0.125);
    assertThat(mean(samples)).isCloseTo(mean, withPercentage(1));
    assertThat(deviation(samples))
        .isCloseTo(mean * Math.sqrt(Math.exp(0.25) - 1), withPercentage(2));
  }

  @Test
  void exponentialHasItsMoments() {
    int[] samples = sample("exponential:300", 1);
    assertThat(mean(samples)).isCloseTo(300, withPercentage(1));
    assertThat(deviation(samples)).isCloseTo(300, withPercentage(1));
    assertThat(IntStream.of(samples).min()).hasValue(1);
  }

  @Test
  void aMixtureHasTheWeightsOfItsParts() {
    int[] samples = sample("mixture:1*fixed:100+2.5*uniform:1-3+0.5*lognormal:5000,0.1", 1);
    assertThat(IntStream.of(samples).filter(x -> x == 100).count() / (double) SAMPLES)
        .isCloseTo(0.25, withPercentage(2));
    assertThat(IntStream.of(samples).filter(x -> x <= 3).count() / (double) SAMPLES)
        .isCloseTo(0.625, withPercentage(1));
    assertThat(IntStream.of(samples).filter(x -> x > 3000).count() / (double) SAMPLES)
        .isCloseTo(0.125, withPercentage(3));
  }

  @Test
  void anEmpiricalDistributionDrawsTheLinesOfItsFile() throws Exception {
    Path file = Files.writeString(folder.resolve("lengths.txt"), "7\n7\n7\n900\n");
    int[] samples = sample("empirical:" + file, 1);
    assertThat(samples).containsOnly(7, 900);
    assertThat(IntStream.of(samples).filter(x -> x == 7).count() / (double) SAMPLES)
        .isCloseTo(0.75, withPercentage(1));
    Files.writeString(file, "7\n\n8\n");
    assertThatThrownBy(() -> LengthDistribution.parse("empirical:" + file))
        .hasMessageContaining("lengths.txt, line 2 is ''");
    Files.writeString(file, "");
    assertThatThrownBy(() -> LengthDistribution.parse("empirical:" + file))
        .hasMessageContaining("has no line");
    assertThatThrownBy(() -> LengthDistribution.parse("empirical:" + folder.resolve("none")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("cannot read the lengths");
  }

  @Test
  void theSameSeedGivesTheSameLengths() {
    assertThat(sample("lognormal:200,0.5", 7)).isEqualTo(sample("lognormal:200,0.5", 7));
    assertThat(sample("lognormal:200,0.5", 7)).isNotEqualTo(sample("lognormal:200,0.5", 8));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "64",
        "fixed:",
        "fixed:0",
        "fixed:-1",
        "fixed:1e3",
        "uniform:8",
        "uniform:9-8",
        "uniform:0-8",
        "lognormal:5",
        "lognormal:-1,1",
        "lognormal:5,0",
        "lognormal:NaN,1",
        "exponential:Infinity",
        "gauss:1,2",
        "mixture:",
        "mixture:fixed:3",
        "mixture:0*fixed:3",
        "mixture:1*fixed:0",
        "mixture:1*mixture:1*fixed:3",
        ""
      })
  void refusesWhatIsNoDistribution(String text) {
    assertThatThrownBy(() -> LengthDistribution.parse(text))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageMatching("(?s).*(must be|write fixed:N|must have).*");
  }

  @Test
  void itsTextCanBeParsedAgain() {
    for (String text :
        new String[] {
          "fixed:3",
          "uniform:1-9",
          "lognormal:5.0,0.5",
          "exponential:7.0",
          "mixture:1*fixed:3+2*uniform:1-9"
        }) {
      assertThat(LengthDistribution.parse(text)).hasToString(text);
    }
  }
}
