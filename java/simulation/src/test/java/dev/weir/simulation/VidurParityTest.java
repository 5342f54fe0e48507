package dev.weir.simulation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Offset.offset;

import de.siegmar.fastcsv.reader.NamedCsvRecord;
import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every golden run of Vidur, replayed: each request's times, and all counts. */
class VidurParityTest {
  private static final Map<String, String> NAMES =
      Map.of(
          "vllm", "vllm-v0", "sarathi", "sarathi", "orca", "orca", "faster_transformer", "static");

  private static final class Recorder implements SimulationListener {
    final List<SimulatedRequest> requests = new ArrayList<>();
    final List<double[]> iterations = new ArrayList<>();

    @Override
    public void arrived(SimulatedRequest request) {
      requests.add(request);
    }

    @Override
    public void iterated(SimulatedIteration i) {
      iterations.add(
          new double[] {
            i.index(),
            i.start(),
            i.end(),
            i.batch().requests(),
            i.batch().prefillTokens(),
            i.batch().decodes()
          });
    }
  }

  static List<String> runs() throws IOException {
    return Golden.rows("summary.csv").stream().map(row -> row.getField("run")).toList();
  }

  private static SimulationOptions options(NamedCsvRecord summary) {
    String scheduler = NAMES.get(summary.getField("scheduler"));
    Map<String, String> options = new HashMap<>(Map.of("semantics", "vidur"));
    for (String option : summary.getField("options").replaceAll("[{} ]", "").split(";")) {
      if (option.startsWith("chunk_size:")) {
        options.put("chunk", option.substring("chunk_size:".length()));
      }
    }
    SchedulerConfig config =
        new SchedulerConfig(
            new KvCapacity(Long.parseLong(summary.getField("num_blocks")), 16, 0),
            new BatchLimits(
                Integer.parseInt(summary.getField("batch_size_cap")), Integer.MAX_VALUE),
            Preemption.RECOMPUTE,
            new IterationCost(1, 0),
            Optional.empty(),
            SchedulerOptions.of(options));
    return new SimulationOptions(
        scheduler,
        config,
        ProfileIterationTime.a100Llama2(),
        SimulationSemantics.VIDUR,
        OptionalInt.empty());
  }

  @ParameterizedTest
  @MethodSource("runs")
  void givesWhatVidurGives(String run) throws Exception {
    NamedCsvRecord summary =
        Golden.rows("summary.csv").stream()
            .filter(row -> row.getField("run").equals(run))
            .findFirst()
            .orElseThrow();
    String trace = summary.getField("trace") + ".trace.csv";
    Assumptions.assumeTrue(Golden.has(trace), trace + " is not in " + Golden.SHARED);
    List<Arrival> arrivals =
        Golden.rows(trace).stream()
            .map(
                row ->
                    new Arrival(
                        Double.parseDouble(row.getField("arrived_at")),
                        Integer.parseInt(row.getField("num_prefill_tokens")),
                        Integer.parseInt(row.getField("num_decode_tokens"))))
            .toList();
    Recorder recorder = new Recorder();
    SimulationResult result = Simulation.run(options(summary), arrivals.iterator(), recorder);

    assertThat(result.iterations()).isEqualTo(Long.parseLong(summary.getField("iterations")));
    assertThat(result.evictions()).isEqualTo(Long.parseLong(summary.getField("restarts")));
    List<NamedCsvRecord> expected = Golden.rows(run + ".requests.csv");
    assertThat(recorder.requests).hasSameSizeAs(expected);
    for (int i = 0; i < expected.size(); i++) {
      SimulatedRequest request = recorder.requests.get(i);
      NamedCsvRecord row = expected.get(i);
      assertThat(request.evictions())
          .as("restarts of %s", i)
          .isEqualTo(Integer.parseInt(row.getField("num_restarts")));
      assertTime(row, "scheduled_at", request.scheduledAt());
      assertTime(row, "prefill_completed_at", request.prefillCompletedAt());
      assertTime(row, "completed_at", request.completedAt());
      assertTime(row, "execution_time", request.executionTime());
      assertTime(row, "preempted_time", request.preemptedTime());
    }
    if (Golden.has(run + ".iterations.csv")) {
      List<NamedCsvRecord> iterations = Golden.rows(run + ".iterations.csv");
      assertThat(recorder.iterations).hasSameSizeAs(iterations);
      for (int i = 0; i < iterations.size(); i++) {
        double[] row =
            iterations.get(i).getFields().stream().mapToDouble(Double::parseDouble).toArray();
        assertThat(recorder.iterations.get(i))
            .as("iteration %s", i)
            .containsExactly(row, offset(1e-6));
      }
    }
  }

  private static void assertTime(NamedCsvRecord row, String column, double actual) {
    assertThat(actual)
        .as("%s of request %s", column, row.getField("request"))
        .isCloseTo(Double.parseDouble(row.getField(column)), offset(1e-6));
  }
}
