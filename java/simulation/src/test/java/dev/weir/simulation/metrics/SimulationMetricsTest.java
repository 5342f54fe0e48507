package dev.weir.simulation.metrics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;
import static org.assertj.core.data.Percentage.withPercentage;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.simulation.Arrival;
import dev.weir.simulation.LinearIterationTime;
import dev.weir.simulation.Simulation;
import dev.weir.simulation.SimulationOptions;
import dev.weir.simulation.SimulationResult;
import dev.weir.simulation.SimulationSemantics;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;

class SimulationMetricsTest {
  private static final Percentage PRECISION = withPercentage(0.1);

  @Test
  void figuresAreThoseOfAHandComputation() {
    IterationCost cost = new IterationCost(1, 0.01);
    SimulationOptions options =
        new SimulationOptions(
            "fcfs",
            new SchedulerConfig(
                new KvCapacity(10, 4, 0),
                new BatchLimits(8, 64),
                Preemption.RECOMPUTE,
                cost,
                Optional.empty(),
                SchedulerOptions.none()),
            new LinearIterationTime(cost),
            SimulationSemantics.WEIR,
            OptionalInt.empty());
    List<Arrival> arrivals =
        List.of(
            new Arrival(0.5, 10, 3),
            new Arrival(1, 20, 1),
            new Arrival(2, 90, 1),
            new Arrival(3, 5, 1));
    SimulationMetrics figures = new SimulationMetrics();
    SimulationResult result = Simulation.run(options, arrivals.iterator(), figures);
    Metrics metrics = figures.metrics(result, 10);
    // TPOT of the first request is 1.215; the warm-up leaves out what was there before 2.5.
    SimulationMetrics warm = new SimulationMetrics(2, Optional.of(new ServiceObjectives(2, 1.2)));
    Metrics measured = warm.metrics(Simulation.run(options, arrivals.iterator(), warm), 10);
    SimulationMetrics cold = new SimulationMetrics(0, Optional.of(new ServiceObjectives(2, 1.2)));
    Metrics all = cold.metrics(Simulation.run(options, arrivals.iterator(), cold), 10);

    // Iterations: 0.5-1.6 (10 tokens, 3 blocks), -2.91 (11 + 20, 8), -4.03 (12, 3), the last two
    // of a; then the fourth request alone, 4.03-5.08 (5, 2).
    assertThat(metrics.requests()).isEqualTo(4);
    assertThat(metrics.finished()).isEqualTo(3);
    assertThat(metrics.refused()).isEqualTo(Map.of("TOO_LONG", 1));
    assertThat(metrics.seconds()).isCloseTo(4.58, offset(1e-9));
    assertThat(metrics.promptTokens()).isEqualTo(35);
    assertThat(metrics.outputTokens()).isEqualTo(5);
    assertThat(metrics.outputTokensPerSecond()).isCloseTo(5 / 4.58, PRECISION);
    // Tokens at 1.6, 2.91 and 2.91 in the window from 0.5 to 3.
    assertThat(metrics.windowOutputTokensPerSecond()).isCloseTo(3 / 2.5, PRECISION);
    assertThat(measured.windowOutputTokensPerSecond()).isCloseTo(2 / 0.5, PRECISION);
    // Of the three, the second ends in the window, and in time.
    assertThat(metrics.goodput()).isNaN();
    assertThat(all.goodput()).isCloseTo(1 / 2.5, PRECISION);
    assertThat(measured.goodput()).isCloseTo(1 / 0.5, PRECISION);
    // Two requests in the system from the middle of the window, 1.75, to 2.91, then one.
    assertThat(metrics.backlog().orElseThrow().mean())
        .isCloseTo((2 * (2.91 - 1.75) + (3 - 2.91)) / 1.25, PRECISION);
    assertThat(metrics.timeToFirstToken().count()).isEqualTo(3);
    assertThat(metrics.timeToFirstToken().mean()).isCloseTo((1.1 + 1.91 + 2.08) / 3, PRECISION);
    assertThat(metrics.interTokenLatency().count()).isEqualTo(2);
    assertThat(metrics.interTokenLatency().max()).isCloseTo(1.31, PRECISION);
    assertThat(metrics.timePerOutputToken().mean()).isCloseTo((4.03 - 1.6) / 2, PRECISION);
    assertThat(metrics.endToEnd().max()).isCloseTo(3.53, PRECISION);
    assertThat(metrics.iterations()).isEqualTo(4);
    assertThat(metrics.idleShare()).isCloseTo(0, offset(1e-9));
    assertThat(metrics.kvMean())
        .isCloseTo((3 * 1.1 + 8 * 1.31 + 3 * 1.12 + 2 * 1.05) / 45.8, PRECISION);
    assertThat(metrics.kvPeak()).isEqualTo(0.8);
  }
}
