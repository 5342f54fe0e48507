package dev.weir.simulation.measured;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class NonNegativeLeastSquaresTest {
  /**
   * The problem is convex, so a point is its solution exactly if it meets the conditions of Karush,
   * Kuhn and Tucker: no descent along a free unknown, and none into the inside at a bound.
   */
  @Test
  void meetsTheConditionsOfOptimality() {
    SplittableRandom random = new SplittableRandom(1);
    int bound = 0;
    for (int problem = 0; problem < 300; problem++) {
      int unknowns = random.nextInt(1, 12);
      double[][] rows = new double[random.nextInt(1, 40)][unknowns];
      double[] target = new double[rows.length];
      double[] units = random.doubles(unknowns, -6, 6).map(e -> Math.pow(10, e)).toArray();
      for (int row = 0; row < rows.length; row++) {
        for (int i = 0; i < unknowns; i++) {
          rows[row][i] = units[i] * random.nextDouble(-1, 1);
        }
        target[row] = random.nextDouble(-1, 1);
      }
      double[] x = NonNegativeLeastSquares.solve(rows, target);
      for (int i = 0; i < unknowns; i++) {
        double descent = 0;
        for (int row = 0; row < rows.length; row++) {
          double residual = target[row];
          for (int j = 0; j < unknowns; j++) {
            residual -= rows[row][j] * x[j];
          }
          descent += rows[row][i] / units[i] * residual;
        }
        assertThat(x[i]).isNotNegative();
        assertThat(descent).as("unknown %d of problem %d", i, problem).isLessThan(1e-8);
        if (x[i] > 0) {
          assertThat(descent).as("unknown %d of problem %d", i, problem).isGreaterThan(-1e-8);
        } else {
          bound++;
        }
      }
    }
    assertThat(bound).isGreaterThan(100);
  }

  @Test
  void findsWhatTheRowsWereMadeFrom() {
    double[] truth = {0, 3e-3, 5e-9, 0, 1e-7};
    SplittableRandom random = new SplittableRandom(2);
    double[][] rows = new double[50][];
    double[] target = new double[50];
    for (int row = 0; row < rows.length; row++) {
      rows[row] = random.doubles(5, 0, 1e4).toArray();
      for (int i = 0; i < truth.length; i++) {
        target[row] += rows[row][i] * truth[i];
      }
    }
    double[] x = NonNegativeLeastSquares.solve(rows, target);
    for (int i = 0; i < truth.length; i++) {
      assertThat(x[i]).isCloseTo(truth[i], offset(1e-12));
    }
  }

  @Test
  void whatIsNotDeterminedIsZero() {
    // Two equal columns, one of zeros.
    double[] x =
        NonNegativeLeastSquares.solve(new double[][] {{1, 1, 0}, {2, 2, 0}}, new double[] {3, 6});
    assertThat(Arrays.stream(x).sum()).isCloseTo(3, offset(1e-12));
    assertThat(x[2]).isZero();
  }
}
