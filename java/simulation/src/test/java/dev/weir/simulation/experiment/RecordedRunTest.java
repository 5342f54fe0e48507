package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;

class RecordedRunTest {
  private static final List<RecordedRun> RUNS = RecordedRun.all();

  @Test
  void allRunsAreThere() {
    assertThat(RUNS).hasSize(106);
    assertThat(RUNS).extracting(RecordedRun::test).containsOnly("test31", "test32", "test33");
  }

  @Test
  void oneOfThem() {
    RecordedRun run =
        RUNS.stream()
            .filter(r -> r.test().equals("test31") && r.totalLimit().orElse(0) == 128)
            .findFirst()
            .orElseThrow();
    assertThat(run.policy()).isEqualTo(RecordedRun.NESTED);
    assertThat(run.batchSize()).isEqualTo(122);
    assertThat(run.completed()).isEqualTo(7419);
    assertThat(run.slotsPerSecond()).isEqualTo(6099.67, within(0.01));
    assertThat(run.completedPerSecond()).isEqualTo(7419 / 195.97, within(1e-9));
  }

  @Test
  void onlyNestedLosesRequests() {
    assertThat(RUNS)
        .allSatisfy(
            run ->
                assertThat(run.completed() < 8000)
                    .isEqualTo(run.policy().equals("modified_nested")));
  }
}
