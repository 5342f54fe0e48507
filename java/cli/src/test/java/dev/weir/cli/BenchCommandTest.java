package dev.weir.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BenchCommandTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path folder;

  private static CommandRun bench(String... args) {
    List<String> all =
        new ArrayList<>(List.of("bench", "--model", CommandRun.MODEL, "--no-progress"));
    all.addAll(List.of(args));
    return CommandRun.of(all.toArray(String[]::new));
  }

  @Test
  void comparesSchedulersInAPoolThatIsTooSmall() throws Exception {
    CommandRun run =
        bench(
            "--requests",
            "24",
            "--prompt-tokens",
            "uniform:4-20",
            "--output-tokens",
            "fixed:60",
            "--kv-blocks",
            "40",
            "--scheduler",
            "fcfs,nested-wait",
            "--json",
            "--seed",
            "5");
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
    JsonNode result = JSON.readTree(run.out());

    assertThat(result.at("/workload/requests").asInt()).isEqualTo(24);
    assertThat(result.at("/workload/seed").asInt()).isEqualTo(5);
    assertThat(result.at("/workload/sha256").asText()).hasSize(64);
    assertThat(result.at("/workload/arrivals").asText()).isEqualTo("all at once");
    assertThat(result.at("/kv_pool/tokens").asInt()).isEqualTo(640);
    assertThat(result.at("/plan/mean_output_tokens").asDouble()).isEqualTo(60);
    assertThat(result.at("/plan/iteration_seconds").asDouble()).isPositive();
    assertThat(result.get("runs")).hasSize(2);
    for (JsonNode each : result.get("runs")) {
      JsonNode metrics = each.get("metrics");
      assertThat(metrics.get("finished").asInt()).isEqualTo(24);
      assertThat(metrics.get("clipped").asInt()).isZero();
      assertThat(metrics.get("output_tokens").asInt()).isEqualTo(24 * 60);
      assertThat(metrics.get("output_tokens_per_second").asDouble()).isPositive();
      // All at once: there is no arrival window, and JSON has no NaN.
      assertThat(metrics.get("window_output_tokens_per_second").isNull()).isTrue();
      for (String latency :
          List.of(
              "time_to_first_token",
              "time_per_output_token",
              "inter_token_latency",
              "end_to_end")) {
        JsonNode p = metrics.get(latency);
        assertThat(p.get("p50").asDouble())
            .as(latency)
            .isPositive()
            .isLessThanOrEqualTo(p.get("p90").asDouble());
        assertThat(p.get("p90").asDouble()).isLessThanOrEqualTo(p.get("p99").asDouble());
      }
      assertThat(metrics.at("/inter_token_latency/count").asInt()).isEqualTo(24 * 59);
      assertThat(metrics.get("kv_peak").asDouble()).isBetween(0.5, 1.0);
      assertThat(metrics.get("kv_mean").asDouble())
          .isBetween(0.1, metrics.get("kv_peak").asDouble());
    }
    // 24 prompts fit at once, 24 whole sequences do not.
    JsonNode fcfs = result.at("/runs/0/metrics");
    JsonNode nestedWait = result.at("/runs/1/metrics");
    assertThat(result.at("/runs/0/scheduler").asText()).isEqualTo("fcfs");
    assertThat(fcfs.get("evictions").asInt()).isPositive();
    assertThat(fcfs.get("recomputed_tokens").asInt()).isPositive();
    assertThat(nestedWait.get("evictions").asInt()).isLessThan(fcfs.get("evictions").asInt());
    assertThat(result.at("/runs/1/gauges/safety_buffer_blocks").asDouble()).isPositive();
    // Whoever waits is held back, and both say why.
    assertThat(fcfs.at("/holds/MEMORY").asInt()).isPositive();
    assertThat(nestedWait.get("holds").size()).isPositive();
  }

  @Test
  void printsATableAndWritesAPage() throws Exception {
    Path page = folder.resolve("deep/bench.html");
    CommandRun run =
        bench(
            "--requests",
            "6",
            "--output-tokens",
            "fixed:8",
            "--rate",
            "200",
            "--scheduler",
            "fcfs",
            "--rounds",
            "3",
            "--cost",
            "0.001,1e-6",
            "--html",
            page.toString());
    assertThat(run.status()).isZero();
    assertThat(run.out())
        .contains("requests finished", "6 of 6", "TTFT p50 / p90 / p99, ms", "evictions")
        .contains("workload SHA-256", "seed", "iteration cost", "as given")
        .contains("Poisson, 200.0 a second", "3, of which the one of median duration")
        .contains("page: " + page);
    assertThat(page).content().contains("<title>Weir</title>").contains("\"name\":\"fcfs\"");
  }

  @Test
  void reportsBadRowsAndRequestsThatAreTooLong() throws Exception {
    Path trace =
        Files.writeString(
            folder.resolve("trace.csv"),
            """
            arrived_at,num_prefill_tokens,num_decode_tokens
            0.0,10,5
            0.01,500,100
            0.02,0,5
            0.03,12,6
            """);
    String[] arguments = {
      "--trace", trace.toString(), "--scheduler", "fcfs", "--json", "--cost", "0.001,1e-6"
    };
    CommandRun run = bench(arguments);
    assertThat(run.status()).isZero();
    assertThat(run.err()).contains("line 4 left out: num_prefill_tokens is '0'");
    JsonNode result = JSON.readTree(run.out());
    assertThat(result.at("/workload/bad_rows/0/line").asInt()).isEqualTo(4);
    assertThat(result.at("/workload/overlong").asInt()).isEqualTo(1);
    assertThat(result.at("/runs/0/metrics/requests").asInt()).isEqualTo(3);
    assertThat(result.at("/runs/0/metrics/finished").asInt()).isEqualTo(2);
    assertThat(result.at("/runs/0/metrics/refused/EXCEEDS_CONTEXT").asInt()).isEqualTo(1);

    String[] skipping = java.util.Arrays.copyOf(arguments, arguments.length + 1);
    skipping[arguments.length] = "--skip-overlong";
    result = JSON.readTree(bench(skipping).out());
    assertThat(result.at("/workload/overlong").asInt()).isEqualTo(1);
    assertThat(result.at("/runs/0/metrics/requests").asInt()).isEqualTo(2);
    assertThat(result.at("/runs/0/metrics/refused").isEmpty()).isTrue();
  }

  @Test
  void saysWhetherTheThresholdsCarryTheRate() {
    String[] arguments = {
      "--requests",
      "12",
      "--output-tokens",
      "fixed:40",
      "--prompt-tokens",
      "fixed:8",
      "--scheduler",
      "nested-wait",
      "--kv-blocks",
      "64",
      "--cost",
      "0.001,1e-6",
      "--rate",
      "20"
    };
    assertThat(bench(arguments).out())
        .containsPattern("nested-wait thresholds +keep up with .* requests/s; the planned")
        .contains("are within that");
    arguments[arguments.length - 1] = "5000";
    assertThat(bench(arguments).out())
        .containsPattern("nested-wait thresholds +keep up with .* for certain; the planned")
        .contains("the queue may grow");
  }

  @Test
  void countsARequestOfAbsurdLengthWithoutMakingIt() throws Exception {
    Path trace =
        Files.writeString(
            folder.resolve("trace.csv"),
            """
            num_prefill_tokens,num_decode_tokens
            2000000000,5
            10,2000000000
            200,100
            10,5
            """);
    String[] arguments = {
      "--trace", trace.toString(), "--scheduler", "fcfs", "--json", "--kv-blocks", "16"
    };
    JsonNode result = JSON.readTree(bench(arguments).out());
    assertThat(result.at("/workload/overlong").asInt()).isEqualTo(3);
    JsonNode metrics = result.at("/runs/0/metrics");
    assertThat(metrics.get("finished").asInt()).isEqualTo(1);
    assertThat(metrics.at("/refused/EXCEEDS_CONTEXT").asInt()).isEqualTo(2);
    assertThat(metrics.at("/refused/EXCEEDS_KV_CAPACITY").asInt()).isEqualTo(1);
  }

  @Test
  void settingsReachTheSchedulerThatTheyName() {
    CommandRun run =
        bench("--requests", "2", "--scheduler-option", "weir.nonsense=1", "--cost", "0.001,0");
    assertThat(run.status()).isEqualTo(2);
    assertThat(run.err()).contains("weir").contains("nonsense");
  }

  @Test
  void theTimeLineHasEveryRequestAndEveryEviction() throws Exception {
    Path trace = folder.resolve("deep/trace.json");
    CommandRun run =
        bench(
            "--requests",
            "24",
            "--prompt-tokens",
            "uniform:4-20",
            "--output-tokens",
            "fixed:60",
            "--kv-blocks",
            "40",
            "--scheduler",
            "fcfs",
            "--json",
            "--chrome-trace",
            trace.toString());
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
    JsonNode metrics = JSON.readTree(run.out()).at("/runs/0/metrics");
    Map<String, Integer> counts = new HashMap<>();
    for (JsonNode event : JSON.readTree(trace.toFile())) {
      counts.merge(event.get("name").asText() + " " + event.get("ph").asText(), 1, Integer::sum);
    }
    // The calibration before is not on it.
    assertThat(counts)
        .containsEntry("waiting B", 24)
        .containsEntry("length i", 24)
        .containsEntry("evicted i", metrics.get("evictions").asInt())
        .containsEntry("iteration X", metrics.get("iterations").asInt());
    assertThat(metrics.get("evictions").asInt()).isPositive();
  }
}
