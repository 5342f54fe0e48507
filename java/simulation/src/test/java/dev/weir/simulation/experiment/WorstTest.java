package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class WorstTest {
  private static final Worst SMALL = new Worst(Estimate.exactly(1), "here");
  private static final Worst LARGE = new Worst(Estimate.exactly(2), "there");
  private static final Worst UNMEASURED = new Worst(Estimate.exactly(Double.NaN), "nowhere");

  @Test
  void theWorstDecides() {
    assertThat(Worst.least(List.of(LARGE, SMALL))).isEqualTo(SMALL);
    assertThat(Worst.most(List.of(LARGE, SMALL))).isEqualTo(LARGE);
  }

  @Test
  void whatWasNotMeasuredIsWorseThanAnything() {
    List<Worst> all = List.of(SMALL, UNMEASURED, LARGE);
    assertThat(Worst.least(all)).isEqualTo(UNMEASURED);
    assertThat(Worst.most(all)).isEqualTo(UNMEASURED);
    assertThat(Goal.atLeast("", 0, Worst.least(all).figure(), "", "").met()).isFalse();
    assertThat(Worst.least(List.of())).isEqualTo(Worst.NONE);
  }
}
