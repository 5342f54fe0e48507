package dev.weir.simulation.experiment;

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
import dev.weir.simulation.SimulationListener;
import dev.weir.simulation.SimulationOptions;
import dev.weir.simulation.SimulationSemantics;
import dev.weir.simulation.metrics.ServiceObjectives;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

/**
 * Iterations: 0.5 to 1.6 s (the first request, 3 blocks), to 2.91 (the first two, 8 blocks), to
 * 4.03 (the first, 3 blocks), to 5.08 (the last, 2 blocks).
 */
class HalfMetricsTest {
  private static void run(SimulationListener listener) {
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
        List.of(new Arrival(0.5, 10, 3), new Arrival(1, 20, 1), new Arrival(3, 5, 1));
    Simulation.run(options, arrivals.iterator(), listener);
  }

  @Test
  void eachHalfCountsItsOwnRequests() {
    HalfMetrics metrics = new HalfMetrics(2, 6, new ServiceObjectives(2, 1.2));
    run(metrics);
    HalfMetrics.Half first = metrics.half(0);
    assertThat(first.throughput()).isCloseTo(1 / 2.0, offset(1e-9));
    // The first request has a TPOT of 1.215 s, the last a TTFT of 2.08 s.
    assertThat(first.goodput()).isCloseTo(1 / 2.0, offset(1e-9));
    assertThat(first.recomputedShare()).isZero();
    assertThat(first.timeToFirstToken().count()).isEqualTo(2);
    assertThat(first.timeToFirstToken().max()).isCloseTo(1.91, withPercentage(0.1));
    HalfMetrics.Half second = metrics.half(1);
    assertThat(second.throughput()).isCloseTo(1 / 4.0, offset(1e-9));
    assertThat(second.goodput()).isZero();
    assertThat(second.timeToFirstToken().mean()).isCloseTo(2.08, withPercentage(0.1));
  }

  @Test
  void tokensAfterTheEndOfAHalfDoNotCount() {
    HalfMetrics metrics = new HalfMetrics(2, 5, new ServiceObjectives(2, 1.2));
    run(metrics);
    assertThat(metrics.half(1).throughput()).isZero();
  }

  @Test
  void slicesAreMeansOverTheTimeInWhichIterationsRan() {
    TimeSeries series = new TimeSeries(0.5, 5.5, 5);
    run(series);
    assertThat(series.time(0)).isEqualTo(1);
    assertThat(series.usedBlocks(0)).isCloseTo(3, offset(1e-9));
    assertThat(series.usedBlocks(1)).isCloseTo(0.1 * 3 + 0.9 * 8, offset(1e-9));
    assertThat(series.requests(1)).isCloseTo(0.1 * 1 + 0.9 * 2, offset(1e-9));
    assertThat(series.usedBlocks(2)).isCloseTo(0.41 * 8 + 0.59 * 3, offset(1e-9));
    assertThat(series.usedBlocks(4)).isCloseTo(2, offset(1e-9));
    assertThat(series.evictions(1)).isZero();
  }
}
