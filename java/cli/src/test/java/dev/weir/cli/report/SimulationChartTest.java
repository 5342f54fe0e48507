package dev.weir.cli.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Workload;
import dev.weir.simulation.ArrivalProcess;
import dev.weir.simulation.LengthDistribution;
import dev.weir.simulation.LinearIterationTime;
import dev.weir.simulation.Simulation;
import dev.weir.simulation.SimulationListeners;
import dev.weir.simulation.SimulationOptions;
import dev.weir.simulation.SimulationResult;
import dev.weir.simulation.SimulationSemantics;
import dev.weir.simulation.SyntheticArrivals;
import dev.weir.simulation.metrics.SimulationMetrics;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class SimulationChartTest {
  private static final KvCapacity POOL = new KvCapacity(120, 16, 0);

  private record Outcome(SimulationResult result, RunChart chart) {}

  private static Outcome serve(String scheduler, int requests) {
    LengthDistribution prompts = LengthDistribution.parse("uniform:20-100");
    LengthDistribution outputs = LengthDistribution.parse("uniform:1-160");
    IterationCost cost = new IterationCost(0.01, 1e-5);
    SplittableRandom lengths = new SplittableRandom(3);
    Workload workload =
        new Workload(
            10,
            LengthHistogram.of(lengths.ints(100, 20, 101).toArray()),
            LengthHistogram.of(lengths.ints(100, 1, 161).toArray()));
    SchedulerConfig config =
        new SchedulerConfig(
            POOL,
            new BatchLimits(64, 512),
            Preemption.RECOMPUTE,
            cost,
            Optional.of(workload),
            SchedulerOptions.none());
    SimulationChart chart = new SimulationChart(POOL);
    SimulationMetrics metrics = new SimulationMetrics();
    SimulationResult result =
        Simulation.run(
            new SimulationOptions(
                scheduler,
                config,
                new LinearIterationTime(cost),
                SimulationSemantics.WEIR,
                OptionalInt.empty()),
            new SyntheticArrivals(
                requests,
                ArrivalProcess.parse("poisson:10"),
                prompts,
                outputs,
                new SplittableRandom(5)),
            SimulationListeners.both(metrics, chart));
    return new Outcome(
        result,
        chart.chart(scheduler, metrics.metrics(result, POOL.blocks()), OptionalDouble.empty()));
  }

  @Test
  void aLongSimulationTakesNoMoreThanAShortOneAndLosesNoEviction() {
    Outcome outcome = serve("fcfs", 2000);
    RunChart chart = outcome.chart();
    assertThat(outcome.result().iterations()).isGreaterThan(5000);
    assertThat(chart.timeline().t().length).isBetween(500, 2000);
    assertThat(chart.timeline().t()).isSorted();
    assertThat(chart.evictions().stream().mapToLong(RunChart.Eviction::n).sum())
        .isEqualTo(outcome.result().evictions())
        .isPositive();
    assertThat(chart.requests()).hasSize(RunChart.MAX_REQUESTS);
    assertThat(chart.seconds())
        .isCloseTo(outcome.result().end() - outcome.result().firstArrival(), within(1e-5));
    assertThat(chart.ganttText()).endsWith(" of 2,000 requests evicted at least once");
    assertThat(chart.segments()).isEmpty();
    assertThat(chart.predictions()).isNull();
  }

  @Test
  void gaugesOfSegmentsAreThinnedTogether() {
    RunChart chart = serve("nested-wait", 1000).chart();
    assertThat(chart.segments()).hasSize(3);
    for (RunChart.Segment segment : chart.segments()) {
      int samples = segment.t().size();
      assertThat(samples).isBetween(256, 512);
      assertThat(segment.t()).isSorted().doesNotHaveDuplicates();
      assertThat(segment.occupancy()).hasSize(samples);
      assertThat(segment.capacity()).hasSize(samples).containsOnly(segment.capacity().getFirst());
      assertThat(segment.queue()).hasSize(samples);
      assertThat(segment.threshold()).hasSize(samples);
    }
    List<Double> first = chart.segments().getFirst().occupancy();
    assertThat(first.stream().mapToDouble(Double::doubleValue).max().orElseThrow()).isPositive();
    assertThat(chart.bufferTokens()).isPositive().isLessThan(POOL.tokens());
  }

  @Test
  void predictionsAreSummedUp() {
    assertThat(serve("weir", 200).chart().predictions())
        .contains("admissions with a predicted overflow probability")
        .contains("at most");
  }
}
