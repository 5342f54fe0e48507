package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.Schedulers;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tiny runs: what a result must have, not what it comes to. */
class ExperimentsTest {
  private static final double SCALE = 0.01;

  private static final class Counted implements Progress {
    final AtomicLong planned = new AtomicLong();
    final AtomicLong finished = new AtomicLong();

    @Override
    public void planned(long simulations) {
      planned.addAndGet(simulations);
    }

    @Override
    public void finished(long simulations) {
      finished.addAndGet(simulations);
    }
  }

  private static ExperimentResult run(String name, int threads, Progress progress) {
    return Experiments.named(name)
        .run(new ExperimentContext(2, SCALE, ExperimentData.shipped(), threads, progress));
  }

  private static Table table(ExperimentResult result, String id) {
    return result.tables().stream().filter(each -> each.id().equals(id)).findFirst().orElseThrow();
  }

  private static double mean(Cell cell) {
    return cell instanceof Cell.Interval(Estimate estimate) ? estimate.mean() : Double.NaN;
  }

  private static List<String> texts(Table table, int column) {
    return table.rows().stream().map(row -> ((Cell.Text) row.get(column)).text()).toList();
  }

  @ParameterizedTest
  @ValueSource(strings = {"limit-cycle", "nonstationary"})
  void theSameContextGivesTheSameResultWhateverTheThreads(String name) {
    Counted progress = new Counted();
    ExperimentResult result = run(name, 3, progress);
    assertThat(progress.planned.get()).isPositive().isEqualTo(progress.finished.get());
    assertThat(result).isEqualTo(run(name, 1, Progress.NONE));
    assertThat(result.name()).isEqualTo(name);
    assertThat(result.question()).isNotEmpty();
    assertThat(result.findings()).isNotEmpty();
    assertThat(result.settings()).extracting(Setting::label).contains("seeds", "scale");
    assertThat(result.settings()).extracting(Setting::label).anyMatch(x -> x.contains("SHA-256"));
    assertThat(result.plots()).isNotEmpty();
    assertIdsDiffer(result);
    for (Table table : result.tables()) {
      assertThat(table.columns()).extracting(Column::title).doesNotHaveDuplicates();
    }
  }

  private static void assertIdsDiffer(ExperimentResult result) {
    List<String> ids = new ArrayList<>(result.tables().stream().map(Table::id).toList());
    result.plots().forEach(plot -> ids.add("plot-" + plot.id()));
    Set<String> different = new HashSet<>(ids);
    assertThat(different).hasSize(ids.size());
    assertThat(ids).allMatch(id -> id.matches("[a-z0-9-]+"));
  }

  @Test
  void everySchedulerTakesPartInTheLimitCycleAndNeitherGoalsNorConservationAreMadeUp() {
    ExperimentResult result = run("limit-cycle", 2, Progress.NONE);
    Table table = table(result, "profile");
    assertThat(texts(table, 0))
        .containsAll(Schedulers.all().stream().map(SchedulerFactory::name).toList());
    for (List<Cell> row : table.rows()) {
      assertThat(mean(row.get(2))).isPositive();
      assertThat(mean(row.get(4))).isNotNegative();
      assertThat(mean(row.get(6))).isBetween(0.0, 100.0);
    }
    assertThat(result.goals()).isNotEmpty();
    for (Goal goal : result.goals()) {
      assertThat(goal.text()).startsWith("weir: ");
      assertThat(goal.measured().mean()).isFinite();
    }
  }

  @Test
  void stabilityReportsEveryPolicyInEveryCaseAndNamesWhatItLeavesOut() {
    Counted progress = new Counted();
    ExperimentResult result =
        new StabilityExperiment()
            .run(new ExperimentContext(1, 1e-4, ExperimentData.shipped(), 2, progress));
    assertThat(progress.planned.get()).isPositive().isEqualTo(progress.finished.get());
    assertIdsDiffer(result);
    Table cases = table(result, "cases");
    assertThat(cases.rows()).hasSizeGreaterThanOrEqualTo(14);
    assertThat(cases.rows().toString()).contains("LMSYS stand-in").doesNotContain("LMSYS lengths");
    Table sweep = table(result, "sweep");
    int policies = (int) texts(sweep, 2).stream().distinct().count();
    assertThat(policies).isGreaterThanOrEqualTo(10);
    assertThat(sweep.rows().size()).isEqualTo(cases.rows().size() * policies * 7);
    for (List<Cell> row : sweep.rows()) {
      assertThat(mean(row.get(13))).as("recomputed").isNotNegative();
      assertThat(mean(row.get(14))).as("KV use").isBetween(0.0, 100.0);
      assertThat(mean(row.get(16))).as("refused").isZero();
    }
    assertThat(table(result, "workloads").rows()).hasSameSizeAs(cases.rows());
    assertThat(result.goals()).hasSize(7);
    assertThat(result.goals().toString()).contains("LMSYS stand-in at 1,250 blocks");
  }

  @Test
  void anUnknownExperimentIsNamedWithThoseThatThereAre() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Experiments.named("perpetuum-mobile"))
        .withMessageContaining("perpetuum-mobile")
        .withMessageContaining("limit-cycle");
    assertThat(Experiments.all()).extracting(Experiment::name).doesNotHaveDuplicates();
  }
}
