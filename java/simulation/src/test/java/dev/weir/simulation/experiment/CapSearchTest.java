package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.simulation.Arrival;
import dev.weir.simulation.Simulation;
import dev.weir.simulation.SimulationOptions;
import dev.weir.simulation.SimulationResult;
import dev.weir.simulation.SimulationSemantics;
import dev.weir.simulation.experiment.CapSearch.Trial;
import dev.weir.simulation.metrics.Metrics;
import dev.weir.simulation.metrics.Percentiles;
import dev.weir.simulation.metrics.SimulationMetrics;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class CapSearchTest {
  private static SimulationOptions options(String scheduler, Map<String, String> options) {
    return new SimulationOptions(
        scheduler,
        new SchedulerConfig(
            new KvCapacity(100, 16, 0),
            new BatchLimits(128, 512),
            Preemption.RECOMPUTE,
            new IterationCost(0.01, 0),
            Optional.empty(),
            SchedulerOptions.of(options)),
        // Prefill takes its time, so what is evicted is missed.
        batch -> 0.01 + 1e-3 * batch.prefillTokens(),
        SimulationSemantics.WEIR,
        OptionalInt.empty());
  }

  /** Prompts of 10 and outputs of 150 tokens: 160 at the end, so ten fit into 1600 for sure. */
  private static List<Arrival> arrivals(double gapSeconds) {
    List<Arrival> arrivals = new ArrayList<>();
    for (int i = 0; i < 400; i++) {
      arrivals.add(new Arrival(i * gapSeconds, 10, 150));
    }
    return arrivals;
  }

  private static CapSearch.Result search(double gapSeconds, Integer... caps) {
    List<Arrival> arrivals = arrivals(gapSeconds);
    return CapSearch.search(
        options("fcfs", Map.of("watermark", "0")), arrivals::iterator, List.of(caps), 0);
  }

  @Test
  void inOverloadTheBestCapIsNeitherTheSmallestNorNone() {
    CapSearch.Result result = search(0.02, 2, 5, 10, 15, 20, 40, 128);
    Trial best = result.best();
    assertThat(best.cap()).isBetween(10, 20);
    Trial uncapped = result.trials().getLast();
    assertThat(uncapped.metrics().evictions()).isPositive();
    assertThat(best.outputTokensPerSecond())
        .isGreaterThan(1.05 * uncapped.outputTokensPerSecond())
        .isEqualTo(best.metrics().windowOutputTokensPerSecond());
    for (Trial trial : result.trials()) {
      assertThat(trial.outputTokensPerSecond())
          .isLessThanOrEqualTo(best.outputTokensPerSecond() / (1 - CapSearch.TIE));
    }
  }

  @Test
  void aLightLoadHasTheSmallestCapThatLetsNobodyWait() {
    // A request takes 1.5 s and another comes every 0.4 s: four at a time, three do not keep up.
    CapSearch.Result result = search(0.4, 128, 64, 8, 4, 3);
    assertThat(result.best().cap()).isEqualTo(4);
    double p99 = result.best().metrics().timeToFirstToken().p99();
    assertThat(result.trials().getFirst().metrics().timeToFirstToken().p99()).isEqualTo(p99);
  }

  @Test
  void amongEqualThroughputsTheLowestTimeToTheFirstTokenIsBest() {
    Trial slow = trial(8, 1000, 2.0);
    Trial quick = trial(16, 999.5, 1.0);
    Trial alsoQuick = trial(12, 999.1, 1.0);
    Trial quickest = trial(4, 998, 0.5);
    assertThat(new CapSearch.Result(List.of(slow, quick, alsoQuick, quickest)).best())
        .isSameAs(alsoQuick);
    assertThat(new CapSearch.Result(List.of(quickest, slow)).best()).isSameAs(slow);
  }

  private static Trial trial(int cap, double tokensPerSecond, double p99) {
    double none = Double.NaN;
    Percentiles first = new Percentiles(1, p99, p99, p99, p99, p99);
    Percentiles any = new Percentiles(1, 1, 1, 1, 1, 1);
    Metrics metrics =
        new Metrics(
            1,
            1,
            0,
            Map.of(),
            Map.of(),
            1,
            1,
            1,
            none,
            none,
            tokensPerSecond,
            none,
            none,
            Optional.empty(),
            first,
            any,
            any,
            any,
            1,
            0,
            0,
            Map.of(),
            0,
            0,
            0,
            0);
    return new Trial(cap, metrics);
  }

  @Test
  void eachTrialIsWhatTheSchedulerDoesAlone() {
    CapSearch.Result result = search(0.02, 20, 5);
    assertThat(result.trials()).extracting(Trial::cap).containsExactly(20, 5);
    for (Trial trial : result.trials()) {
      SimulationMetrics metrics = new SimulationMetrics();
      SimulationResult alone =
          Simulation.run(
              options("capped-fcfs", Map.of("cap", Integer.toString(trial.cap()))),
              arrivals(0.02).iterator(),
              metrics);
      assertThat(trial.metrics()).isEqualTo(metrics.metrics(alone, 100));
    }
    assertThat(search(0.02, 20, 5)).isEqualTo(result);
  }

  @Test
  void requestsThatComeAtOnceAreComparedOverTheWholeRun() {
    Trial best = search(0, 1, 10, 128).best();
    assertThat(best.cap()).isEqualTo(10);
    assertThat(best.metrics().windowOutputTokensPerSecond()).isNaN();
    assertThat(best.outputTokensPerSecond()).isEqualTo(best.metrics().outputTokensPerSecond());
  }

  @Test
  void aGridHasEqualRatiosWithoutRepetitions() {
    assertThat(CapSearch.grid(4, 256, 7)).containsExactly(4, 8, 16, 32, 64, 128, 256);
    assertThat(CapSearch.grid(1, 3, 20)).containsExactly(1, 2, 3);
    assertThat(CapSearch.grid(5, 5, 2)).containsExactly(5);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> CapSearch.grid(5, 4, 2))
        .withMessageContaining("2 caps of 5..4");
  }

  @Test
  void refusesNoCapAndABadOne() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> search(1))
        .withMessage("there is no cap to try");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> search(1, 0))
        .withMessageContaining("cap=0 is not in 1..");
  }
}
