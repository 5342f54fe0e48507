package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.simulation.Arrival;
import dev.weir.simulation.IterationTime;
import dev.weir.simulation.LinearIterationTime;
import dev.weir.simulation.Simulation;
import dev.weir.simulation.SimulationOptions;
import dev.weir.simulation.SimulationSemantics;
import dev.weir.simulation.StalledException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;

class PublishedNestedWaitTest {
  private static final IterationCost COST = new IterationCost(1, 1e-6);

  /**
   * Segments (0, 2] for 4 and (2, 4] for 1 request. Two enter in each iteration while two wait; the
   * third pair comes to rest with nobody behind it. The first request goes on and ends.
   */
  @Test
  void restsWhenTooFewWait() {
    PublishedMeasures measures = measures(new double[] {4, 1.5});
    assertThat(measures.droppedShare()).isEqualTo(2 / 6.0, within(1e-12));
    // 2 and 4, then 4 and the one that goes on.
    assertThat(measures.slotsPerSecond()).isEqualTo(11 / 3.0, within(1e-3));
    assertThat(measures.largestBatch()).isEqualTo(5);
    assertThat(measures.completedTokensPerSecond()).isEqualTo(9 / 3.0, within(1e-3));
  }

  @Test
  void segmentWithoutRoomNeverServes() {
    PublishedMeasures measures = measures(new double[] {4, 0.9});
    assertThat(measures.droppedShare()).isEqualTo(0.5, within(1e-12));
    assertThat(measures.completedShares()).containsExactly(Map.entry(50, 0.5));
    assertThat(measures.slotsPerSecond()).isEqualTo(10 / 3.0, within(1e-3));
  }

  /** One request of 3 tokens and five of 2, all there at the start. */
  private static PublishedMeasures measures(double[] segmentCaps) {
    List<Arrival> arrivals = new ArrayList<>();
    arrivals.add(new Arrival(0, 1, 3));
    arrivals.addAll(Collections.nCopies(5, new Arrival(0, 1, 2)));
    PublishedMeasures measures = new PublishedMeasures();
    assertThatThrownBy(() -> simulate(arrivals, segmentCaps, measures))
        .isInstanceOf(StalledException.class);
    return measures;
  }

  /** The logs: 5,739.84 slots/s, 115 requests in the largest batch, 8.4 % dropped. */
  @Test
  void repeatsTheLogs() {
    PublishedNestedWait scheduler =
        new PublishedNestedWait(PaperWorkload.boundaries(), PaperWorkload.segmentCaps(120));
    PublishedMeasures measures = new PublishedMeasures();
    List<Arrival> arrivals =
        new PaperWorkload(PaperWorkload.tenClasses(), false).draw(8000, 66, 1).arrivals();
    assertThatThrownBy(
            () ->
                Simulation.run(
                    options(PaperExperiment.forkTime(), 29_184, 500),
                    scheduler,
                    arrivals.iterator(),
                    measures))
        .isInstanceOf(StalledException.class);
    assertThat(measures.largestBatch()).isEqualTo(115);
    assertThat(measures.slotsPerSecond()).isCloseTo(5739.84, Percentage.withPercentage(4));
    assertThat(measures.droppedShare()).isEqualTo(0.084, within(0.01));
    assertThat(measures.completedShares().get(500)).isZero();
  }

  private static void simulate(
      List<Arrival> arrivals, double[] segmentCaps, PublishedMeasures measures) {
    Simulation.run(
        options(new LinearIterationTime(COST), 1000, 4),
        new PublishedNestedWait(new int[] {2, 4}, segmentCaps),
        arrivals.iterator(),
        measures);
  }

  private static SimulationOptions options(IterationTime time, long blocks, int longest) {
    return new SimulationOptions(
        "published",
        new SchedulerConfig(
            new KvCapacity(blocks, 16, 0),
            new BatchLimits(8000, 1 << 20),
            Preemption.RECOMPUTE,
            COST,
            Optional.empty(),
            SchedulerOptions.none()),
        time,
        SimulationSemantics.WEIR,
        OptionalInt.of(longest));
  }
}
