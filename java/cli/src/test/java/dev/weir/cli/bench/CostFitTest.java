package dev.weir.cli.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Percentage.withPercentage;

import org.junit.jupiter.api.Test;

class CostFitTest {
  @Test
  void findsALine() {
    CostFit fit = CostFit.of(new double[] {0, 100, 300}, new double[] {0.002, 0.003, 0.005});
    assertThat(fit.cost().fixedSeconds()).isCloseTo(0.002, withPercentage(1e-9));
    assertThat(fit.cost().secondsPerToken()).isCloseTo(1e-5, withPercentage(1e-9));
    assertThat(fit.relativeResidual()).isLessThan(1e-12);
    assertThat(fit.samples()).isEqualTo(3);
  }

  @Test
  void aFewSlowIterationsDoNotMatter() {
    double[] tokens = new double[100];
    double[] seconds = new double[100];
    for (int i = 0; i < 100; i++) {
      tokens[i] = 10 * i;
      seconds[i] = i % 10 == 3 ? 0.5 : 0.001 + 1e-6 * tokens[i];
    }
    CostFit fit = CostFit.of(tokens, seconds);
    assertThat(fit.cost().fixedSeconds()).isCloseTo(0.001, withPercentage(1e-6));
    assertThat(fit.cost().secondsPerToken()).isCloseTo(1e-6, withPercentage(1e-6));
  }

  @Test
  void aLongMeasurementIsThinned() {
    double[] tokens = new double[5_000];
    double[] seconds = new double[5_000];
    for (int i = 0; i < 5_000; i++) {
      tokens[i] = i;
      seconds[i] = 0.001 + 1e-6 * i;
    }
    CostFit fit = CostFit.of(tokens, seconds);
    assertThat(fit.cost().secondsPerToken()).isCloseTo(1e-6, withPercentage(1e-6));
    assertThat(fit.samples()).isEqualTo(5_000);
  }

  @Test
  void reportsHowFarTheLineIsFromTheTruth() {
    CostFit fit = CostFit.of(new double[] {5, 5, 5, 5}, new double[] {1, 3, 1, 3});
    assertThat(fit.cost().fixedSeconds()).isEqualTo(2);
    assertThat(fit.cost().secondsPerToken()).isZero();
    assertThat(fit.relativeResidual()).isEqualTo(0.5);
  }

  @Test
  void neverMakesMemoryCheaperByUsingMore() {
    CostFit fit = CostFit.of(new double[] {0, 100}, new double[] {0.005, 0.001});
    assertThat(fit.cost().secondsPerToken()).isZero();
    assertThat(fit.cost().fixedSeconds()).isEqualTo(0.003);
  }

  @Test
  void keepsAFixedPartWhenTheLineStartsBelowZero() {
    CostFit fit = CostFit.of(new double[] {99, 199}, new double[] {0.001, 0.005});
    assertThat(fit.cost().fixedSeconds()).isEqualTo(fit.cost().secondsPerToken());
    // The median of 0.001 / 100 and 0.005 / 200.
    assertThat(fit.cost().secondsPerToken()).isCloseTo(1.75e-5, withPercentage(1e-6));
  }

  @Test
  void needsAnIteration() {
    assertThatThrownBy(() -> CostFit.of(new double[0], new double[0]))
        .hasMessage("no iteration was measured");
  }
}
