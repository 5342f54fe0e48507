package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.weir.simulation.ArrivalList;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class PaperWorkloadTest {
  @Test
  void tenClassesInTheirProportions() {
    RequestLengths classes = PaperWorkload.tenClasses();
    assertThat(classes.size()).isEqualTo(66);
    assertThat(classes.meanPromptTokens()).isEqualTo(60);
    assertThat(classes.meanOutputTokens()).isEqualTo(10_350 / 66.0, within(1e-9));
    assertThat(classes.maxOutputTokens()).isEqualTo(500);
  }

  /** 66 reach the first segment of 207 in all, 1 the last: 120 * 66 / 207 and 120 / 207. */
  @Test
  void capsInProportionToThoseThatReachASegment() {
    double[] caps = PaperWorkload.segmentCaps(120);
    assertThat(caps).hasSize(10);
    assertThat(Arrays.stream(caps).sum()).isEqualTo(120, within(1e-9));
    assertThat(caps[0]).isEqualTo(120 * 66 / 207.0, within(1e-9));
    assertThat(caps[9]).isEqualTo(120 / 207.0, within(1e-9));
  }

  @Test
  void clippedGapsShortenTheWindow() {
    RequestLengths classes = PaperWorkload.tenClasses();
    ArrivalList plain = new PaperWorkload(classes, false).draw(20_000, 66, 1);
    ArrivalList clipped = new PaperWorkload(classes, true).draw(20_000, 66, 1);
    assertThat(plain.rate()).isEqualTo(66, within(1.5));
    assertThat(clipped.rate()).isEqualTo(66 / (1 - Math.exp(-3)), within(1.5));
    double longest = 0;
    for (int i = 1; i < clipped.arrivals().size(); i++) {
      double gap = clipped.arrivals().get(i).seconds() - clipped.arrivals().get(i - 1).seconds();
      longest = Math.max(longest, gap);
    }
    assertThat(longest).isEqualTo(3 / 66.0, within(1e-9));
    assertThat(clipped.outputTokens()).isEqualTo(plain.outputTokens());
  }
}
