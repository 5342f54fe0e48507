package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.weir.simulation.Arrival;
import dev.weir.simulation.ArrivalList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class ExperimentContextTest {
  private static final ExperimentData DATA =
      new ExperimentData(
          RequestLengths.fixed("fixed", 5, 5),
          0,
          new ArrivalList("one", List.of(new Arrival(0, 1, 1))));

  private static ExperimentContext context(int threads) {
    return new ExperimentContext(3, 0.1, DATA, threads, Progress.NONE);
  }

  @Test
  void resultsComeInTheOrderOfTheTasks() {
    List<Integer> tasks = IntStream.range(0, 200).boxed().toList();
    assertThat(context(4).map(tasks, task -> 3 * task))
        .isEqualTo(tasks.stream().map(task -> 3 * task).toList());
  }

  @Test
  void whatFailsInATaskFailsTheMap() {
    assertThatThrownBy(
            () ->
                context(2)
                    .map(
                        List.of(1, 0, 2),
                        task -> {
                          if (task == 0) {
                            throw new IllegalArgumentException("zero");
                          }
                          return task;
                        }))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("zero");
  }

  @Test
  void scaleShortensUntilALeastSize() {
    assertThat(context(1).scaled(1000, 20)).isEqualTo(100);
    assertThat(context(1).scaled(1000, 500)).isEqualTo(500);
    assertThat(context(1).seedList()).containsExactly(1L, 2L, 3L);
  }

  @Test
  void nonsenseIsRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new ExperimentContext(0, 1, DATA, 1, Progress.NONE))
        .withMessageContaining("seeds is 0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new ExperimentContext(1, Double.NaN, DATA, 1, Progress.NONE))
        .withMessageContaining("scale is NaN");
  }
}
