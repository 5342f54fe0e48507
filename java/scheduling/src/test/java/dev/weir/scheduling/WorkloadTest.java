package dev.weir.scheduling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;

class WorkloadTest {
  private static final LengthHistogram TENS = LengthHistogram.of(10, 30);
  private static final LengthHistogram ONES = LengthHistogram.of(4, 8);

  @Test
  void classesDetermineTheHistograms() {
    Workload workload =
        Workload.of(
            List.of(
                new RequestClass(3, 10, 4),
                new RequestClass(1, 30, 8),
                new RequestClass(4, 10, 8)));
    assertThat(workload.arrivalRate()).isEqualTo(8);
    assertThat(workload.promptTokens().mean()).isCloseTo(12.5, within(1e-9));
    assertThat(workload.promptTokens().survival(10)).isCloseTo(0.125, within(1e-9));
    assertThat(workload.outputTokens().size()).isEqualTo(2);
    assertThat(workload.outputTokens().survival(4)).isCloseTo(0.625, within(1e-9));
    assertThat(workload.outputTokens().standardDeviation())
        .isCloseTo(Math.sqrt(16 * 0.375 * 0.625), within(1e-9));
  }

  @Test
  void histogramsAloneHaveNoClasses() {
    assertThat(new Workload(1, TENS, ONES).classes()).isEmpty();
  }

  @Test
  void classesMustBeThoseOfTheHistograms() {
    List<RequestClass> classes = List.of(new RequestClass(1, 10, 4), new RequestClass(1, 30, 8));
    assertThat(new Workload(2, TENS, ONES, classes).classes()).isEqualTo(classes);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Workload(3, TENS, ONES, classes))
        .withMessage("arrival rate is 3.0, but that of the classes is 2.0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Workload(2, ONES, ONES, classes))
        .withMessage("mean prompt is 6.0, but that of the classes is 20.0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Workload(2, TENS, TENS, classes))
        .withMessage("mean output is 20.0, but that of the classes is 6.0");
    assertThatIllegalArgumentException().isThrownBy(() -> Workload.of(List.of()));
  }

  @Test
  void classesRefuseNonsense() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new RequestClass(0, 1, 1))
        .withMessageContaining("arrivalRate is 0.0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new RequestClass(1, 0, 1))
        .withMessageContaining("promptTokens is 0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new RequestClass(1, 1, 0))
        .withMessageContaining("outputTokens is 0");
  }
}
