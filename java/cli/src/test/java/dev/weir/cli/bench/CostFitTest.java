package dev.weir.cli.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;
import static org.assertj.core.data.Percentage.withPercentage;

import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;

class CostFitTest {
  @Test
  void findsALine() {
    CostFit fit = CostFit.of(new double[] {0, 100, 300}, new double[] {0.002, 0.003, 0.005});
    assertThat(fit.cost().fixedSeconds()).isCloseTo(0.002, withPercentage(1e-6));
    assertThat(fit.cost().secondsPerToken()).isCloseTo(1e-5, withPercentage(1e-6));
    assertThat(fit.relativeResidual()).isLessThan(1e-9);
    assertThat(fit.samples()).isEqualTo(3);
    assertThat(fit.sizes()).isEqualTo(3);
    assertThat(fit.fixedPartAssumed()).isFalse();
  }

  /** As in a run with a full pool, on a machine with other work: one size has most iterations. */
  @Test
  void aBusyMachineAndACrowdedSizeDoNotHideTheFixedPart() {
    RandomGenerator random = RandomGenerator.of("L64X128MixRandom");
    double[] tokens = new double[1_500];
    double[] seconds = new double[1_500];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = i < 300 ? 300 + 7 * i : 2_400 + random.nextInt(100);
      double undisturbed = 70e-6 + 0.4e-6 * tokens[i];
      boolean disturbed = random.nextDouble() < (i < 300 ? 0.2 : 0.6);
      seconds[i] = undisturbed * (disturbed ? 1 + 9 * random.nextDouble() : 1);
    }
    CostFit fit = CostFit.of(tokens, seconds);
    assertThat(fit.cost().fixedSeconds()).isCloseTo(70e-6, offset(20e-6));
    assertThat(fit.cost().secondsPerToken()).isCloseTo(0.4e-6, withPercentage(10));
    assertThat(fit.relativeResidual()).isLessThan(0.05);
  }

  @Test
  void aSizeThatWasHardlySeenDoesNotCount() {
    double[] tokens = new double[31];
    double[] seconds = new double[31];
    for (int i = 0; i < 30; i++) {
      tokens[i] = i % 3 * 100;
      seconds[i] = 0.001 + 1e-5 * tokens[i];
    }
    tokens[30] = 1_000;
    seconds[30] = 0.5;
    CostFit fit = CostFit.of(tokens, seconds);
    assertThat(fit.cost().fixedSeconds()).isCloseTo(0.001, withPercentage(1e-6));
    assertThat(fit.cost().secondsPerToken()).isCloseTo(1e-5, withPercentage(1e-6));
    assertThat(fit.sizes()).isEqualTo(3);
  }

  @Test
  void oneSizeHasNoSlope() {
    CostFit fit = CostFit.of(new double[] {5, 5, 5, 5}, new double[] {1, 1, 3, 3});
    assertThat(fit.cost().fixedSeconds()).isEqualTo(1);
    assertThat(fit.cost().secondsPerToken()).isZero();
    assertThat(fit.relativeResidual()).isZero();
  }

  @Test
  void reportsHowFarTheLineIsFromTheTruth() {
    CostFit fit = CostFit.of(new double[] {0, 100, 200}, new double[] {1, 4, 1});
    assertThat(fit.cost().secondsPerToken()).isZero();
    // The mean of 1, 4 and 1 with weights 1, 1/16 and 1.
    assertThat(fit.cost().fixedSeconds()).isCloseTo(2.25 / 2.0625, withPercentage(1e-6));
    assertThat(fit.relativeResidual()).isCloseTo(2.25 / 2.0625 - 1, withPercentage(1e-6));
  }

  @Test
  void neverMakesMemoryCheaperByUsingMore() {
    CostFit fit = CostFit.of(new double[] {0, 100}, new double[] {0.005, 0.001});
    assertThat(fit.cost().secondsPerToken()).isZero();
    assertThat(fit.cost().fixedSeconds()).isBetween(0.001, 0.005);
  }

  @Test
  void keepsAFixedPartWhenTheLineStartsBelowZero() {
    CostFit fit = CostFit.of(new double[] {100, 200}, new double[] {0.001, 0.005});
    assertThat(fit.fixedPartAssumed()).isTrue();
    assertThat(fit.cost().fixedSeconds()).isCloseTo(0.0001, withPercentage(1e-6));
    assertThat(fit.cost().seconds(100)).isGreaterThan(0.001);
    assertThat(fit.cost().seconds(200)).isLessThan(0.005);
  }

  @Test
  void needsAnIteration() {
    assertThatThrownBy(() -> CostFit.of(new double[0], new double[0]))
        .hasMessage("no iteration was measured");
  }
}
