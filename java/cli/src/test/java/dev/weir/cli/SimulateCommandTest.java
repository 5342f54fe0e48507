package dev.weir.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SimulateCommandTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Path GOLDEN =
      Path.of(System.getProperty("weir.root"), "java/simulation/src/test/resources/golden");

  @TempDir Path folder;

  private static CommandRun simulate(String... args) {
    List<String> all = new ArrayList<>(List.of("simulate"));
    all.addAll(List.of(args));
    return CommandRun.of(all.toArray(String[]::new));
  }

  private Path unpack(String name) throws IOException {
    Path file = folder.resolve(name);
    try (GZIPInputStream packed =
        new GZIPInputStream(Files.newInputStream(GOLDEN.resolve(name + ".gz")))) {
      Files.copy(packed, file);
    }
    return file;
  }

  @ParameterizedTest
  @CsvSource({
    "fixed256x128_moderate, vllm, vllm-v0, 5108",
    "fixed256x128_overload, sarathi_chunk_size512, sarathi, 617",
    "types10_60xV, orca, orca, 3029",
    "fixed60x100, faster_transformer, static, 2300"
  })
  void writesVidursRequestsByteForByte(String trace, String run, String scheduler, int iterations)
      throws Exception {
    Path expected = unpack(trace + "__" + run + ".requests.csv");
    Path requests = folder.resolve("r.csv");
    Path rows = folder.resolve("i.csv");
    CommandRun command =
        simulate(
            "--trace",
            unpack(trace + ".trace.csv").toString(),
            "--scheduler",
            scheduler,
            "--semantics",
            "vidur",
            "--blocks",
            "7424",
            "--batch-cap",
            "128",
            "--chunk",
            "512",
            "--requests-out",
            requests.toString(),
            "--iterations-out",
            rows.toString());
    assertThat(command.status()).isZero();
    assertThat(requests).hasSameTextualContentAs(expected);
    assertThat(Files.readAllLines(rows)).hasSize(iterations + 1);
    assertThat(command.out()).containsPattern("iterations +\\| +" + "%,d".formatted(iterations));
  }

  @Test
  void predictsTheTimeOfBatches() throws Exception {
    Path out = folder.resolve("o.csv");
    CommandRun run =
        simulate("--batches", unpack("batches.csv").toString(), "--out", out.toString());
    assertThat(run.status()).isZero();
    assertThat(run.out()).contains("3000 batches");
    List<String> lines = Files.readAllLines(out);
    assertThat(lines).hasSize(3001);
    assertThat(lines.getFirst()).isEqualTo("batch,iteration_ms,predicted_ms");
    assertThat(lines.get(1)).isEqualTo("D21x42,10.443136,10.443136");
  }

  @Test
  void comparesSchedulersTheSameWayEveryTime() throws Exception {
    String[] args = {
      "--requests", "300",
      "--arrivals", "mmpp:200,20,1,2",
      "--prompt-tokens", "mixture:1*fixed:20+1*lognormal:80,0.5",
      "--output-tokens", "exponential:60",
      "--blocks", "300",
      "--scheduler", "fcfs,vllm-v0,sarathi,orca,static,nested-wait",
      "--scheduler-option", "sarathi.chunk=256",
      "--json"
    };
    CommandRun run = simulate(args);
    assertThat(run.status()).isZero();
    JsonNode result = JSON.readTree(run.out());
    assertThat(result.get("runs")).hasSize(6);
    JsonNode first = result.at("/runs/0/metrics");
    for (JsonNode each : result.get("runs")) {
      JsonNode metrics = each.get("metrics");
      assertThat(metrics.get("finished").asInt()).isEqualTo(300);
      assertThat(metrics.get("output_tokens")).isEqualTo(first.get("output_tokens"));
      assertThat(metrics.at("/end_to_end/count").asInt()).isEqualTo(300);
      assertThat(metrics.at("/kv_peak").asDouble()).isLessThanOrEqualTo(1);
    }
    assertThat(result.at("/runs/0/metrics/evictions").asInt()).isPositive();
    assertThat(result.at("/runs/2/scheduler_options").asText()).isEqualTo("{chunk=256}");
    assertThat(result.at("/runs/3/metrics/evictions").asInt()).isZero();
    assertThat(simulate(args).out()).isEqualTo(run.out());
  }

  @Test
  void whatIsLeftOutOrRefusedIsNamed() throws Exception {
    Path trace =
        Files.writeString(
            folder.resolve("t.csv"),
            """
            arrived_at,num_prefill_tokens,num_decode_tokens
            1,10,10
            2,0,10
            3,100,100
            4,10,10
            """);
    CommandRun run = simulate("--trace", trace.toString(), "--blocks", "8", "--scheduler", "fcfs");
    assertThat(run.status()).isZero();
    assertThat(run.err())
        .contains("t.csv, line 3 left out: num_prefill_tokens is '0'")
        .contains("fcfs: refused request 1: 100 prompt and 100 output tokens need 13 KV blocks");
    assertThat(run.out()).contains("2 of 3", "1 TOO_LONG");
  }

  @Test
  void aFileThatIsNotThereIsAFailure() {
    for (String option : new String[] {"--trace", "--iteration-time"}) {
      String value = folder.resolve("nowhere.json").toString();
      CommandRun run = simulate(option, option.equals("--trace") ? value : "measured:" + value);
      assertThat(run.status()).isEqualTo(1);
      assertThat(run.err().lines()).hasSize(1);
      assertThat(run.err()).contains("nowhere.json");
    }
  }
}
