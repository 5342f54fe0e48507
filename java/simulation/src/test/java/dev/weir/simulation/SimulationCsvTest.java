package dev.weir.simulation;

import static org.assertj.core.api.Assertions.assertThat;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SimulationCsvTest {
  @TempDir Path folder;

  @Test
  void requestsAreInOrderOfArrivalWithoutThoseRefused() throws Exception {
    IterationCost cost = new IterationCost(1, 0.01);
    SimulationOptions options =
        new SimulationOptions(
            "fcfs",
            new SchedulerConfig(
                new KvCapacity(8, 4, 0),
                new BatchLimits(8, 64),
                Preemption.RECOMPUTE,
                cost,
                Optional.empty(),
                SchedulerOptions.none()),
            new LinearIterationTime(cost),
            SimulationSemantics.WEIR,
            OptionalInt.empty());
    Path requests = folder.resolve("r.csv");
    Path iterations = folder.resolve("i.csv");
    List<Arrival> arrivals =
        List.of(new Arrival(0, 4, 2), new Arrival(0, 40, 1), new Arrival(0, 6, 1));
    try (SimulationCsv csv = new SimulationCsv(requests, iterations)) {
      Simulation.run(options, arrivals.iterator(), csv);
    }
    assertThat(requests)
        .hasContent(
            """
            request,arrived_at,num_prefill_tokens,num_decode_tokens,scheduled_at,\
            prefill_completed_at,completed_at,num_restarts,execution_time,preempted_time
            0,0.000000,4,2,0.000000000,1.100000000,2.150000000,0,2.150000000,0.000000000
            2,0.000000,6,1,0.000000000,1.100000000,1.100000000,0,1.100000000,0.000000000
            """);
    assertThat(iterations)
        .hasContent(
            """
            iteration,start,end,batch_size,prefill_tokens,decode_tokens
            0,0.000000000,1.100000000,2,10,0
            1,1.100000000,2.150000000,1,0,1
            """);
  }
}
