package dev.weir.simulation.measured;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.apache.commons.math3.linear.Array2DRowRealMatrix;
import org.apache.commons.math3.linear.ArrayRealVector;
import org.apache.commons.math3.linear.DecompositionSolver;
import org.apache.commons.math3.linear.QRDecomposition;

/**
 * The vector {@code x >= 0} with the least {@code |A x - b|}, by the active-set method of Lawson
 * and Hanson (Solving Least Squares Problems, 1974, chapter 23).
 */
final class NonNegativeLeastSquares {
  private static final double TOLERANCE = 1e-11;

  /** As many changes of the active set as the algorithm is given for each unknown. */
  private static final int CHANGES_PER_UNKNOWN = 30;

  private final double[][] rows;
  private final double[] target;
  private final int unknowns;

  /** The length of each column, to which it is scaled, as unknowns have different units. */
  private final double[] scale;

  private final double[] solution;
  private final boolean[] free;

  private NonNegativeLeastSquares(double[][] rows, double[] target) {
    unknowns = rows[0].length;
    this.target = target;
    scale = new double[unknowns];
    for (int column = 0; column < unknowns; column++) {
      double squares = 0;
      for (double[] row : rows) {
        squares += row[column] * row[column];
      }
      scale[column] = squares == 0 ? 1 : Math.sqrt(squares);
    }
    this.rows = new double[rows.length][unknowns];
    for (int row = 0; row < rows.length; row++) {
      for (int column = 0; column < unknowns; column++) {
        this.rows[row][column] = rows[row][column] / scale[column];
      }
    }
    solution = new double[unknowns];
    free = new boolean[unknowns];
  }

  /**
   * Solves the problem. An unknown that the rows do not determine is 0.
   *
   * @param rows {@code A}, at least one row; all of the same length
   * @param target {@code b}, as many as rows
   */
  static double[] solve(double[][] rows, double[] target) {
    return new NonNegativeLeastSquares(rows, target).solve();
  }

  private double[] solve() {
    double enough = TOLERANCE * Math.sqrt(Arrays.stream(target).map(b -> b * b).sum());
    boolean[] useless = new boolean[unknowns];
    for (int change = 0; change < CHANGES_PER_UNKNOWN * unknowns; change++) {
      int next = steepest(useless, enough);
      if (next < 0) {
        break;
      }
      free[next] = true;
      if (!descend(next)) {
        free[next] = false;
        solution[next] = 0;
        useless[next] = true;
      } else {
        Arrays.fill(useless, false);
      }
    }
    double[] result = new double[unknowns];
    for (int i = 0; i < unknowns; i++) {
      result[i] = solution[i] / scale[i];
    }
    return result;
  }

  /** The unknown at its bound whose growth would lessen the error most; -1 if there is none. */
  private int steepest(boolean[] useless, double enough) {
    double[] descent = new double[unknowns];
    for (int row = 0; row < rows.length; row++) {
      double residual = target[row];
      for (int i = 0; i < unknowns; i++) {
        residual -= rows[row][i] * solution[i];
      }
      for (int i = 0; i < unknowns; i++) {
        descent[i] += rows[row][i] * residual;
      }
    }
    int best = -1;
    for (int i = 0; i < unknowns; i++) {
      if (!free[i]
          && !useless[i]
          && descent[i] > enough
          && (best < 0 || descent[i] > descent[best])) {
        best = i;
      }
    }
    return best;
  }

  /**
   * Goes to the best point over the free unknowns, and gives those a bound that would fall below 0.
   *
   * @return false if {@code added} gains nothing: rounding, or the rows do not determine it
   */
  private boolean descend(int added) {
    while (true) {
      double[] best = unconstrained();
      if (best == null || (free[added] && solution[added] == 0 && best[added] <= 0)) {
        return false;
      }
      double step = 1;
      for (int i = 0; i < unknowns; i++) {
        if (free[i] && best[i] <= 0) {
          step = Math.min(step, solution[i] / (solution[i] - best[i]));
        }
      }
      for (int i = 0; i < unknowns; i++) {
        if (free[i]) {
          boolean ends = best[i] <= 0 && solution[i] / (solution[i] - best[i]) <= step;
          solution[i] = ends ? 0 : solution[i] + step * (best[i] - solution[i]);
          free[i] = !ends;
        }
      }
      if (step == 1) {
        return true;
      }
    }
  }

  /** The least squares over the free unknowns, bounds or not; null if there is not one solution. */
  private double[] unconstrained() {
    int[] columns = IntStream.range(0, unknowns).filter(i -> free[i]).toArray();
    double[] result = new double[unknowns];
    if (columns.length == 0) {
      return result;
    }
    if (columns.length > rows.length) {
      return null;
    }
    double[][] part = new double[rows.length][columns.length];
    for (int row = 0; row < rows.length; row++) {
      for (int i = 0; i < columns.length; i++) {
        part[row][i] = rows[row][columns[i]];
      }
    }
    DecompositionSolver solver =
        new QRDecomposition(new Array2DRowRealMatrix(part, false), TOLERANCE).getSolver();
    if (!solver.isNonSingular()) {
      return null;
    }
    double[] found = solver.solve(new ArrayRealVector(target, false)).toArray();
    for (int i = 0; i < columns.length; i++) {
      result[columns[i]] = found[i];
    }
    return result;
  }
}
