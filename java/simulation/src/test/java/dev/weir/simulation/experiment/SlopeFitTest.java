package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.stream.DoubleStream;
import org.junit.jupiter.api.Test;

class SlopeFitTest {
  @Test
  void exactPowerLaw() {
    double[] x = {1, 2, 4, 8, 16};
    SlopeFit fit = SlopeFit.logarithmic(x, DoubleStream.of(x).map(v -> 3 / v).toArray());
    assertThat(fit.slope().mean()).isEqualTo(-1, within(1e-12));
    assertThat(fit.slope().halfWidth()).isEqualTo(0, within(1e-6));
    assertThat(fit.factor()).isEqualTo(3, within(1e-12));
    assertThat(fit.rSquared()).isEqualTo(1, within(1e-12));
    assertThat(fit.at(100)).isEqualTo(0.03, within(1e-12));
  }

  /** The line through (0,1), (1,3), (2,2), (3,4): slope 0.8, standard error sqrt(1.8 / 2 / 5). */
  @Test
  void intervalByHand() {
    double[] x = DoubleStream.of(0, 1, 2, 3).map(Math::exp).toArray();
    double[] y = DoubleStream.of(1, 3, 2, 4).map(Math::exp).toArray();
    SlopeFit fit = SlopeFit.logarithmic(x, y);
    assertThat(fit.slope().mean()).isEqualTo(0.8, within(1e-9));
    // Student's t with two degrees of freedom: 4.302653 at 97.5 %.
    assertThat(fit.slope().halfWidth()).isEqualTo(4.302653 * Math.sqrt(0.18), within(1e-5));
    assertThat(fit.rSquared()).isEqualTo(0.64, within(1e-9));
  }
}
