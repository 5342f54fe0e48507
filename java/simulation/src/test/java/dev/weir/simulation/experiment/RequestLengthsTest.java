package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;
import static org.assertj.core.data.Percentage.withPercentage;

import dev.weir.scheduling.LengthHistogram;
import dev.weir.simulation.Arrival;
import dev.weir.simulation.ArrivalList;
import dev.weir.simulation.ArrivalProcess;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class RequestLengthsTest {
  private static final RequestLengths TWO =
      RequestLengths.of(
          "two", new ArrivalList("two", List.of(new Arrival(0, 10, 100), new Arrival(0, 50, 4))));

  @Test
  void promptAndOutputOfARowStayTogether() {
    ArrivalList drawn = TWO.draw(500, new ArrivalProcess.Poisson(3), 7);
    Set<String> pairs =
        drawn.arrivals().stream()
            .map(arrival -> arrival.promptTokens() + "/" + arrival.outputTokens())
            .collect(Collectors.toSet());
    assertThat(pairs).containsExactlyInAnyOrder("10/100", "50/4");
    assertThat(drawn.rate()).isCloseTo(3, withPercentage(15));
  }

  @Test
  void workIsThatOfTheJointDistribution() {
    assertThat(TWO.work()).isEqualTo((101 * (10 + 50) + 5 * (50 + 2)) / 2.0);
  }

  @Test
  void anotherRateStretchesTheSameWorkload() {
    ArrivalList slow = TWO.draw(100, new ArrivalProcess.Poisson(1), 3);
    ArrivalList fast = TWO.draw(100, new ArrivalProcess.Poisson(4), 3);
    assertThat(fast.outputTokens()).isEqualTo(slow.outputTokens());
    for (int i = 0; i < 100; i++) {
      assertThat(fast.arrivals().get(i).seconds())
          .isCloseTo(slow.arrivals().get(i).seconds() / 4, offset(1e-9));
    }
    assertThat(TWO.draw(100, new ArrivalProcess.Poisson(1), 3).sha256()).isEqualTo(slow.sha256());
    assertThat(TWO.draw(100, new ArrivalProcess.Poisson(1), 4).sha256())
        .isNotEqualTo(slow.sha256());
  }

  @Test
  void theStandInHasTheMomentsAndQuartilesOfLmsys() {
    RequestLengths lengths = ExperimentData.lmsysStandIn();
    LengthHistogram prompt = lengths.workload(1).promptTokens();
    LengthHistogram output = lengths.workload(1).outputTokens();
    assertThat(prompt.max()).isLessThan(200);
    assertThat(output.max()).isLessThan(500);
    assertThat(prompt.mean()).isCloseTo(35, withPercentage(10));
    assertThat(prompt.standardDeviation()).isCloseTo(41, withPercentage(10));
    assertThat(output.mean()).isCloseTo(147, withPercentage(10));
    assertThat(output.standardDeviation()).isCloseTo(127, withPercentage(10));
    assertThat(IntStream.of(25, 50, 75).map(q -> output.quantile(q / 100.0)).toArray())
        .satisfies(
            quartiles -> {
              assertThat((double) quartiles[0]).isCloseTo(34, withPercentage(10));
              assertThat((double) quartiles[1]).isCloseTo(116, withPercentage(10));
              assertThat((double) quartiles[2]).isCloseTo(235, withPercentage(10));
            });
  }

  @Test
  void theConversationTraceIsShipped() {
    ExperimentData data = ExperimentData.shipped();
    assertThat(data.conversation().arrivals()).hasSize(19_366);
    assertThat(data.conversation().windowSeconds()).isCloseTo(3501.72, offset(0.01));
    assertThat(data.conversationLengths().meanOutputTokens()).isCloseTo(211.126, offset(0.001));
    assertThat(data.lmsys().name()).isEqualTo("LMSYS stand-in");
  }
}
