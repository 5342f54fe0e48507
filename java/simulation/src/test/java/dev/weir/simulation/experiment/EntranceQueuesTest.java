package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;

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
import dev.weir.simulation.SimulationSemantics;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class EntranceQueuesTest {
  private static final IterationCost COST = new IterationCost(1, 0.001);

  /**
   * Two enter segment 1 in each iteration and all of them go on. The entrance behind stage 2 lets
   * five go: 2, 4, then 6 of which 1 stays, 3, then 5 of which none stays.
   */
  @Test
  void followsTheQueueAfterRelease() {
    assertThat(longest(12, 1)).containsExactly(0);
    assertThat(longest(12, 3)).containsExactly(2);
    assertThat(longest(12, 100)).containsExactly(4);
  }

  /** Requests that end at the boundary never wait there. */
  @Test
  void whoEndsAtTheBoundaryIsNotInTheQueue() {
    EntranceQueues queues = new EntranceQueues(new int[] {2}, 100);
    simulate(Collections.nCopies(12, new Arrival(0, 5, 2)), queues);
    assertThat(queues.longest()).containsExactly(0);
  }

  private static int[] longest(int requests, long iterations) {
    EntranceQueues queues = new EntranceQueues(new int[] {2}, iterations);
    simulate(Collections.nCopies(requests, new Arrival(0, 5, 4)), queues);
    return queues.longest();
  }

  private static void simulate(List<Arrival> arrivals, EntranceQueues queues) {
    Simulation.run(
        new SimulationOptions(
            "nested-wait",
            new SchedulerConfig(
                new KvCapacity(10_000, 1, 0),
                new BatchLimits(100, 1000),
                Preemption.RECOMPUTE,
                COST,
                Optional.empty(),
                SchedulerOptions.of(
                    Map.of(
                        "mode", "strict",
                        "boundaries", "2,4",
                        "thresholds", "2,5",
                        "drain", "1000"))),
            new LinearIterationTime(COST),
            SimulationSemantics.WEIR,
            OptionalInt.of(4)),
        arrivals.iterator(),
        queues);
  }
}
