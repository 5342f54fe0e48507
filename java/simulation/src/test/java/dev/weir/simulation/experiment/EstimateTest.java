package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;

import org.junit.jupiter.api.Test;

class EstimateTest {
  /** Student's sleep data, first group: R's t.test gives -0.5297804 to 2.0297804, mean 0.75. */
  @Test
  void intervalIsThatOfATTest() {
    Estimate estimate = Estimate.of(0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0);
    assertThat(estimate.count()).isEqualTo(10);
    assertThat(estimate.mean()).isCloseTo(0.75, offset(1e-12));
    assertThat(estimate.low()).isCloseTo(-0.5297804, offset(1e-6));
    assertThat(estimate.high()).isCloseTo(2.0297804, offset(1e-6));
  }

  @Test
  void oneObservationHasNoInterval() {
    Estimate estimate = Estimate.of(3);
    assertThat(estimate.mean()).isEqualTo(3);
    assertThat(estimate.halfWidth()).isNaN();
    assertThat(estimate.low()).isEqualTo(3);
  }

  @Test
  void aGoalComparesTheMean() {
    Estimate figure = Estimate.of(0.98, 1.02);
    assertThat(Goal.atLeast("g", 0.99, figure, "", "").met()).isTrue();
    assertThat(Goal.atMost("g", 0.99, figure, "", "").met()).isFalse();
    assertThat(Goal.atMost("g", 0.99, Estimate.exactly(Double.NaN), "", "").met()).isFalse();
    assertThat(Goal.atLeast("g", 0.99, Estimate.exactly(Double.NaN), "", "").met()).isFalse();
  }
}
