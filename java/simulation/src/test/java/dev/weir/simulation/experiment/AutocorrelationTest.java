package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;

import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class AutocorrelationTest {
  @Test
  void aPeriodIsFoundAndItsMultiplesAreNot() {
    double[] series =
        IntStream.range(0, 600).mapToDouble(i -> 5 + Math.sin(2 * Math.PI * i / 40)).toArray();
    Autocorrelation found = Autocorrelation.of(series);
    assertThat(found.lag()).isEqualTo(40);
    assertThat(found.strength()).isCloseTo(1, offset(0.01));
  }

  @Test
  void noiseHardlyRepeatsItself() {
    SplittableRandom random = new SplittableRandom(1);
    double[] series = IntStream.range(0, 600).mapToDouble(i -> random.nextGaussian()).toArray();
    assertThat(Autocorrelation.of(series).strength()).isLessThan(0.25);
  }

  @Test
  void aConstantSeriesHasNoPeriod() {
    assertThat(Autocorrelation.of(new double[90])).isEqualTo(new Autocorrelation(0, 0));
  }
}
