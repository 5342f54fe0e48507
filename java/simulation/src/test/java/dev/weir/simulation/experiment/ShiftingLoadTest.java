package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Percentage.withPercentage;

import dev.weir.simulation.Arrival;
import java.util.List;
import org.junit.jupiter.api.Test;

class ShiftingLoadTest {
  private static ShiftingLoad draw(double shift, long seed) {
    return ShiftingLoad.draw(
        List.of(RequestLengths.fixed("short", 3, 5), RequestLengths.fixed("long", 7, 50)),
        List.of(20.0, 2.0),
        shift,
        seed);
  }

  @Test
  void lengthsAndRateChangeInTheMiddle() {
    ShiftingLoad load = draw(4000, 1);
    for (Arrival arrival : load.arrivals().arrivals()) {
      assertThat(arrival.outputTokens()).isEqualTo(arrival.seconds() < 4000 ? 5 : 50);
    }
    assertThat(load.arrivals().arrivals().getLast().seconds()).isBetween(3900.0 + 4000, 8000.0);
    assertThat(load.firstHalf().arrivals().size() / 4000.0).isCloseTo(16, withPercentage(15));
    assertThat(load.secondHalf().arrivals().size() / 4000.0).isCloseTo(1.6, withPercentage(15));
    assertThat(load.secondHalf().arrivals().getFirst().seconds()).isLessThan(100);
  }

  @Test
  void aSeedIsALoad() {
    assertThat(draw(50, 3)).isEqualTo(draw(50, 3)).isNotEqualTo(draw(50, 4));
  }
}
