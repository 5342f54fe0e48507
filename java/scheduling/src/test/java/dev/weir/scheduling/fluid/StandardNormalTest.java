package dev.weir.scheduling.fluid;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StandardNormalTest {
  @ParameterizedTest
  @CsvSource({"0.5, 0", "0.95, 1.6448536270", "0.975, 1.9599639845", "0.999, 3.0902323062"})
  void quantiles(double probability, double z) {
    assertThat(StandardNormal.quantile(probability)).isCloseTo(z, within(1e-9));
    assertThat(StandardNormal.quantile(1 - probability)).isCloseTo(-z, within(1e-9));
    assertThat(StandardNormal.survival(z)).isCloseTo(1 - probability, within(1e-10));
    assertThat(StandardNormal.survival(-z)).isCloseTo(probability, within(1e-10));
  }

  @Test
  void theTailsAreEmptyFarOut() {
    assertThat(StandardNormal.survival(40)).isZero();
    assertThat(StandardNormal.survival(-40)).isEqualTo(1);
    assertThat(StandardNormal.survival(Double.NaN)).isNaN();
    assertThatIllegalArgumentException()
        .isThrownBy(() -> StandardNormal.quantile(1))
        .withMessageContaining("probability is 1.0");
  }
}
