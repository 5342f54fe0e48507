package dev.weir.simulation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.data.Offset.offset;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import org.junit.jupiter.api.Test;

class LinearisationTest {
  private static final KvCapacity MEMORY = new KvCapacity(4, 2, 0);

  @Test
  void aLinearTimeHasNoResidual() {
    IterationCost cost = new IterationCost(0.5, 0.25);
    Linearisation linear =
        IterationTimes.linearise(
            new LinearIterationTime(cost), 2, 3, MEMORY, new BatchLimits(3, 4), 5);
    assertThat(linear.cost()).isEqualTo(cost);
    // One request with 1, 2, 4 or 5 tokens, two with 1, 2 or 4, three with 1 or 2.
    assertThat(linear.decode()).isEqualTo(new Linearisation.Residual(0, 0, 9));
    // A prompt of 1, 2 or 4 alone; of 1, 2 or 3 beside each of one; of 1 or 2 beside two with 1 or
    // 2 tokens. Two requests with 4 fill the pool.
    assertThat(linear.mixed()).isEqualTo(new Linearisation.Residual(0, 0, 3 + 4 * 3 + 2 * 2));
  }

  @Test
  void errorsByHand() {
    // 1 + number of requests, whatever their context, but 10 for each token of a prompt.
    IterationTime time = batch -> 1 + batch.decodes() + 10.0 * batch.prefillTokens();
    Linearisation l = IterationTimes.linearise(time, 2, 2, MEMORY, new BatchLimits(2, 2), 2);
    // Through (2 tokens, 2 s) and (4 tokens, 3 s).
    assertThat(l.cost().fixedSeconds()).isCloseTo(1, offset(1e-12));
    assertThat(l.cost().secondsPerToken()).isCloseTo(0.5, offset(1e-12));
    // Requests x context: 1x1 1.5 for 2, 1x2 2 for 2, 2x1 2 for 3, 2x2 3 for 3.
    assertThat(l.decode().batches()).isEqualTo(4);
    assertThat(l.decode().max()).isCloseTo(1 / 3.0, offset(1e-12));
    assertThat(l.decode().rootMeanSquare())
        .isCloseTo(Math.sqrt((1 / 16.0 + 1 / 9.0) / 4), offset(1e-12));
    // Prompts of 1 and 2 tokens alone: 1.5 for 11, 2 for 21. One token beside 1x1: 2 for 12,
    // beside 1x2: 2.5 for 12.
    double[] errors = {9.5 / 11, 19 / 21.0, 10 / 12.0, 9.5 / 12};
    double squares = 0;
    for (double error : errors) {
      squares += error * error;
    }
    assertThat(l.mixed().batches()).isEqualTo(4);
    assertThat(l.mixed().max()).isCloseTo(19 / 21.0, offset(1e-12));
    assertThat(l.mixed().rootMeanSquare()).isCloseTo(Math.sqrt(squares / 4), offset(1e-12));
  }

  @Test
  void onlyWhatThePoolHoldsIsCompared() {
    IterationTime time = batch -> 1;
    KvCapacity small = new KvCapacity(1, 4, 0);
    Linearisation l = IterationTimes.linearise(time, 2, 1, small, new BatchLimits(8, 8), 100);
    // 1x1, 1x2, 1x4, 2x1, 2x2, 4x1; eight requests do not fit.
    assertThat(l.decode().batches()).isEqualTo(6);
    // Alone 1, 2, 4; beside 1x1 1, 2, 3; beside 1x2 1, 2; beside 2x1 1, 2.
    assertThat(l.mixed().batches()).isEqualTo(10);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> IterationTimes.linearise(time, 2, 1, small, new BatchLimits(8, 8), 0))
        .withMessageContaining("longestContext is 0");
  }
}
