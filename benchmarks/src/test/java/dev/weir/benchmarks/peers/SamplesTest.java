package dev.weir.benchmarks.peers;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class SamplesTest {
  private final Samples samples = new Samples();

  @Test
  void theMedianOfAnEvenNumberIsBetweenTheTwoInTheMiddle() {
    samples.add(4);
    samples.add(1);
    samples.add(100);
    samples.add(2);

    assertThat(samples.median()).isEqualTo(3);
    assertThat(samples.min()).isEqualTo(1);
    assertThat(samples.max()).isEqualTo(100);
  }

  @Test
  void nothingHasNoMedian() {
    assertThat(samples.median()).isNaN();
  }
}
