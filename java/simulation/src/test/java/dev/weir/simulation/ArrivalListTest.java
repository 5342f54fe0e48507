package dev.weir.simulation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Percentage.withPercentage;

import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class ArrivalListTest {
  private static ArrivalList draw(int count, long seed) {
    return ArrivalList.draw(
        count,
        LengthDistribution.parse("uniform:8-64"),
        LengthDistribution.parse("exponential:50"),
        new SplittableRandom(seed));
  }

  @Test
  void poissonGapsAreExponential() {
    List<Arrival> arrivals = draw(100_000, 1).poisson(40, new SplittableRandom(2)).arrivals();
    double[] gaps =
        IntStream.range(1, arrivals.size())
            .mapToDouble(i -> arrivals.get(i).seconds() - arrivals.get(i - 1).seconds())
            .toArray();
    double mean = IntStream.range(0, gaps.length).mapToDouble(i -> gaps[i]).average().orElseThrow();
    double squares =
        IntStream.range(0, gaps.length).mapToDouble(i -> gaps[i] * gaps[i]).average().orElseThrow();
    assertThat(mean).isCloseTo(1 / 40.0, withPercentage(1));
    // The second moment of an exponential distribution is twice the square of its mean.
    assertThat(squares).isCloseTo(2 / 1600.0, withPercentage(3));
  }

  @Test
  void poissonKeepsOrderAndLengths() {
    ArrivalList once = draw(100, 1);
    ArrivalList timed = once.poisson(10, new SplittableRandom(2));
    assertThat(timed.promptTokens()).isEqualTo(once.promptTokens());
    assertThat(timed.outputTokens()).isEqualTo(once.outputTokens());
    assertThat(timed.atOnce()).isEqualTo(once);
    assertThat(timed.rate()).isCloseTo(10, withPercentage(40));
    assertThat(once.rate()).isInfinite();
  }

  @Test
  void theSumIdentifiesTheLoad() {
    ArrivalList list = new ArrivalList("a", List.of(new Arrival(0, 1, 2), new Arrival(0.5, 30, 4)));
    // printf '0.000000,1,2\n0.500000,30,4\n' | sha256sum
    assertThat(list.sha256())
        .isEqualTo("e936456217a8a95c481f79f8618b2934b7721facca92743aaa075aad03f86487");
    assertThat(new ArrivalList("b", list.arrivals()).sha256()).isEqualTo(list.sha256());
    assertThat(list.atOnce().sha256()).isNotEqualTo(list.sha256());
    assertThat(draw(10, 1).sha256()).isEqualTo(draw(10, 1).sha256());
  }

  @Test
  void refusesWhatIsNoList() {
    assertThatThrownBy(() -> new ArrivalList("x", List.of()))
        .hasMessage("the workload 'x' has no request");
    assertThatThrownBy(
            () -> new ArrivalList("x", List.of(new Arrival(1, 1, 1), new Arrival(0.5, 1, 1))))
        .hasMessage("request 1 arrives before its predecessor");
    assertThatThrownBy(() -> draw(2, 1).poisson(0, new SplittableRandom(1)))
        .hasMessageContaining("rate is 0.0");
    assertThatThrownBy(() -> new Arrival(-1, 1, 1)).hasMessageContaining("-1.0 s");
    assertThatThrownBy(() -> new Arrival(0, 0, 1)).hasMessageContaining("promptTokens is 0");
    assertThatThrownBy(() -> new Arrival(0, 1, 0)).hasMessageContaining("outputTokens is 0");
  }

  @Test
  void limitKeepsTheFirst() {
    assertThat(draw(10, 1).limit(3).arrivals()).isEqualTo(draw(10, 1).arrivals().subList(0, 3));
    assertThat(draw(10, 1).limit(11)).isEqualTo(draw(10, 1));
  }
}
