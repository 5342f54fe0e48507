package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** All four experiments, tiny: what they consist of, and that the threads make no difference. */
class PaperExperimentsTest {
  private static final ExperimentData DATA = ExperimentData.shipped();

  static Stream<Experiment> experiments() {
    return Stream.of(
        PaperExperiment.synthetic(),
        PaperExperiment.lmsys(),
        new TheoryExperiment(),
        new CalibrationExperiment());
  }

  private static ExperimentResult run(Experiment experiment, int threads) {
    return experiment.run(new ExperimentContext(2, 0.02, DATA, threads, Progress.NONE));
  }

  @ParameterizedTest
  @MethodSource("experiments")
  void sameWithAnyNumberOfThreads(Experiment experiment) {
    ExperimentResult result = run(experiment, 1);
    assertThat(result.name()).isEqualTo(experiment.name());
    assertThat(result.question()).isNotEmpty();
    assertThat(result.findings()).isNotEmpty();
    assertThat(result.settings()).isNotEmpty();
    assertThat(result.tables()).allSatisfy(table -> assertThat(table.rows()).isNotEmpty());
    assertThat(result.plots()).allSatisfy(plot -> assertThat(plot.series()).isNotEmpty());
    assertThat(result.tables()).extracting(Table::id).doesNotHaveDuplicates();
    assertThat(result.plots()).extracting(Plot::id).doesNotHaveDuplicates();
    assertThat(run(experiment, 3)).isEqualTo(result);
  }

  @Test
  void everySimulationIsPlanned() {
    experiments()
        .forEach(
            experiment -> {
              Counter counter = new Counter();
              experiment.run(new ExperimentContext(1, 0.02, DATA, 2, counter));
              assertThat(counter.finished).as(experiment.name()).isEqualTo(counter.planned);
            });
  }

  @Test
  void conclusionsAreInEveryColumn() {
    Table conclusions = run(PaperExperiment.synthetic(), 2).tables().getFirst();
    assertThat(conclusions.id()).isEqualTo("conclusions");
    assertThat(conclusions.rows()).hasSize(6);
    assertThat(conclusions.rows())
        .extracting(List::getLast)
        .allSatisfy(cell -> assertThat(cell).isIn(new Cell.Text("yes"), new Cell.Text("no")));
    assertThat(conclusions.rows().getFirst().get(1))
        .isEqualTo(new Cell.Text("+17.3 % (+5.0 % to +32.6 %)"));
  }

  /** At the smallest scale all horizons are the same, and a line through one point has no slope. */
  @Test
  void noExponentIsComparedWithATheoremWithoutAnInterval() {
    ExperimentResult result =
        new TheoryExperiment().run(new ExperimentContext(1, 1e-4, DATA, 2, Progress.NONE));
    assertThat(result.findings())
        .hasSize(7)
        .allSatisfy(
            finding ->
                assertThat(finding).contains("no exponent").doesNotContain("theorem", "NaN"));
  }

  private static final class Counter implements Progress {
    private long planned;
    private long finished;

    @Override
    public synchronized void planned(long simulations) {
      planned += simulations;
    }

    @Override
    public synchronized void finished(long simulations) {
      finished += simulations;
    }
  }
}
