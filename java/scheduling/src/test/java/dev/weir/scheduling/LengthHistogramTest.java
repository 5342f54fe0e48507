package dev.weir.scheduling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class LengthHistogramTest {
  @Test
  void momentsByHand() {
    LengthHistogram histogram = LengthHistogram.of(4, 1, 4, 7);
    assertThat(histogram.mean()).isEqualTo(4);
    assertThat(histogram.standardDeviation()).isCloseTo(Math.sqrt(4.5), within(1e-12));
    assertThat(histogram.max()).isEqualTo(7);
    assertThat(histogram.size()).isEqualTo(3);
    assertThat(histogram.length(1)).isEqualTo(4);
    assertThat(histogram.probability(1)).isEqualTo(0.5);
  }

  @Test
  void weightsByHand() {
    LengthHistogram histogram =
        LengthHistogram.weighted(new int[] {7, 1, 4, 1}, new double[] {0.5, 0.25, 1, 0.25});
    assertThat(histogram.size()).isEqualTo(3);
    assertThat(histogram.probability(0)).isCloseTo(0.25, within(1e-12));
    assertThat(histogram.survival(4)).isCloseTo(0.25, within(1e-12));
    assertThat(histogram.mean()).isCloseTo(4, within(1e-11));
    assertThat(histogram.standardDeviation()).isCloseTo(Math.sqrt(4.5), within(1e-11));
    assertThat(histogram.quantile(0.7)).isEqualTo(4);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> LengthHistogram.weighted(new int[] {1}, new double[] {0}))
        .withMessageContaining("weight 0.0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> LengthHistogram.weighted(new int[] {0}, new double[] {1}))
        .withMessageContaining("length 0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> LengthHistogram.weighted(new int[] {1, 2}, new double[] {1}))
        .withMessageContaining("2 lengths and 1 weights");
  }

  @Test
  void survivalIsStrict() {
    LengthHistogram histogram = LengthHistogram.of(4, 1, 4, 7);
    assertThat(histogram.survival(0)).isEqualTo(1);
    assertThat(histogram.survival(1)).isEqualTo(0.75);
    assertThat(histogram.survival(3)).isEqualTo(0.75);
    assertThat(histogram.survival(4)).isEqualTo(0.25);
    assertThat(histogram.survival(6)).isEqualTo(0.25);
    assertThat(histogram.survival(7)).isZero();
    assertThat(histogram.survival(100)).isZero();
  }

  @Property
  void agreesWithTheSortedSamples(
      @ForAll @Size(min = 1, max = 60) List<@IntRange(min = 1, max = 30) Integer> samples,
      @ForAll @IntRange(max = 31) int x) {
    int[] sorted = samples.stream().mapToInt(Integer::intValue).toArray();
    LengthHistogram histogram = LengthHistogram.of(sorted);
    Arrays.sort(sorted);
    assertThat(histogram.survival(x))
        .isCloseTo(
            Arrays.stream(sorted).filter(s -> s > x).count() / (double) sorted.length,
            within(1e-12));
    assertThat(histogram.mean())
        .isCloseTo(Arrays.stream(sorted).average().orElseThrow(), within(1e-9));
    double total = 0;
    for (int i = 0; i < histogram.size(); i++) {
      total += histogram.probability(i);
    }
    assertThat(total).isCloseTo(1, within(1e-9));
    for (int rank = 1; rank <= sorted.length; rank++) {
      assertThat(histogram.quantile((rank - 0.5) / sorted.length)).isEqualTo(sorted[rank - 1]);
    }
    assertThat(histogram.quantile(0)).isEqualTo(sorted[0]);
    assertThat(histogram.quantile(1)).isEqualTo(histogram.max());
  }

  @Test
  void refusesNonsense() {
    assertThatIllegalArgumentException()
        .isThrownBy(LengthHistogram::of)
        .withMessageContaining("at least one length");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> LengthHistogram.of(3, 0))
        .withMessageContaining("length 0 must be at least 1");
    LengthHistogram histogram = LengthHistogram.of(3);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> histogram.quantile(1.5))
        .withMessageContaining("probability is 1.5");
    assertThatIllegalArgumentException().isThrownBy(() -> histogram.quantile(Double.NaN));
  }
}
