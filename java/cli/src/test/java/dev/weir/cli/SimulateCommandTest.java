package dev.weir.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
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
  void saysWhetherTheBacklogGrows() {
    String[] args = {
      "--requests",
      "2000",
      "--prompt-tokens",
      "fixed:100",
      "--output-tokens",
      "fixed:100",
      "--blocks",
      "200",
      "--scheduler",
      "fcfs"
    };
    for (String rate : new String[] {"2", "200"}) {
      List<String> all = new ArrayList<>(List.of(args));
      all.addAll(List.of("--arrivals", "poisson:" + rate));
      CommandRun run = simulate(all.toArray(String[]::new));
      assertThat(run.status()).isZero();
      assertThat(run.out())
          .containsPattern(
              "requests in the system grow, 1/s +\\| +-?[0-9.]+ \\("
                  + (rate.equals("2") ? "stable" : "unstable"));
    }
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

  @Test
  void whatIsNoFileIsNamedInWords() {
    CommandRun measured = simulate("--iteration-time", "measured:" + folder.resolve("nowhere"));
    assertThat(measured.err()).contains("nowhere is no file");
    for (String option : List.of("--html", "--decision-log", "--chrome-trace")) {
      CommandRun run =
          simulate("--requests", "5", "--scheduler", "fcfs", "--no-progress", option, "/");
      assertThat(run.status()).isEqualTo(1);
      assertThat(run.err()).contains("Is a directory").doesNotContain("null");
    }
  }

  @Test
  void aSettingThatASchedulerRefusesIsNamedAlone() {
    CommandRun run = simulate("--requests", "5", "--scheduler-option", "colour=red");
    assertThat(run.status()).isEqualTo(2);
    assertThat(run.err()).contains("has no option [colour]").doesNotContain("Exception");
  }

  @Test
  void thePageCountsWhoWasServed() throws Exception {
    Path page = folder.resolve("page.html");
    CommandRun run =
        simulate("--requests", "3", "--blocks", "1", "--no-progress", "--html", page.toString());
    assertThat(run.status()).isZero();
    assertThat(Files.readString(page)).contains("\"0 of 3 requests served in virtual time");
  }

  @Test
  void noFileIsReadAndWrittenAtTheSameTime() throws Exception {
    String batches = "batch\nD3x512\n";
    Path file = Files.writeString(folder.resolve("b.csv"), batches);
    CommandRun run = simulate("--batches", file.toString(), "--out", folder + "/./b.csv");
    assertThat(run.status()).isEqualTo(2);
    assertThat(run.err()).contains("--batches and --out are the same file");
    run =
        simulate(
            "--trace", file.toString(), "--scheduler", "fcfs", "--requests-out", file.toString());
    assertThat(run.status()).isEqualTo(2);
    assertThat(run.err()).contains("--requests-out and --trace are the same file");
    assertThat(file).hasContent(batches);
  }

  private static final String[] SCARCE = {
    "--requests", "150",
    "--arrivals", "poisson:30",
    "--prompt-tokens", "uniform:20-100",
    "--output-tokens", "exponential:80",
    "--blocks", "120",
    "--no-progress"
  };

  private static String[] scarce(String... more) {
    List<String> all = new ArrayList<>(List.of(SCARCE));
    all.addAll(List.of(more));
    return all.toArray(String[]::new);
  }

  @Test
  void withoutArgumentsItServesTheBundledTraceAndNamesThePage() {
    CommandRun run = simulate("--no-progress");
    assertThat(run.status()).isZero();
    assertThat(run.out())
        .contains("19,366 requests, Azure conversation trace, arrivals as recorded")
        .containsPattern("\\| +fcfs \\| +weir ")
        .contains("19366 of 19366")
        .containsPattern("fluid model +at most .* requests/s, bound by KV memory; 5.53 arrive")
        .contains("'weir simulate --html FILE' draws all of this over time.");
  }

  @Test
  void thePageHoldsTheRunsTheSegmentsAndTheRegion() throws Exception {
    Path page = folder.resolve("deep/s.html");
    CommandRun run = simulate(scarce("--scheduler", "fcfs,nested-wait", "--html", page.toString()));
    assertThat(run.status()).isZero();
    assertThat(run.out()).contains("page: " + page).doesNotContain("draws all of this");
    String html = Files.readString(page);
    assertThat(html)
        .doesNotContainPattern("(?i)<(script|link|img)[^>]*(src|href)\\s*=\\s*[\"']?(https?:)?//")
        .doesNotContain("/*DATA*/", "/*STYLE*/", "/*PAGE*/", "/*CHART*/");
    int start = html.indexOf("id=\"data\">") + "id=\"data\">".length();
    JsonNode data = JSON.readTree(html.substring(start, html.indexOf("</script>", start)));
    JsonNode fcfs = data.at("/runs/0");
    JsonNode nestedWait = data.at("/runs/1");

    assertThat(fcfs.get("capacity_tokens").asInt()).isEqualTo(1920);
    assertThat(fcfs.at("/timeline/t").size()).isGreaterThan(100);
    assertThat(fcfs.get("evictions").size()).isPositive();
    assertThat(fcfs.get("requests")).hasSize(150);
    assertThat(fcfs.get("requests").findValues("evicted").toString()).contains("[[");
    for (JsonNode request : fcfs.get("requests")) {
      assertThat(request.get("scheduled").asDouble())
          .isBetween(request.get("arrival").asDouble(), request.get("first_token").asDouble());
      assertThat(request.get("first_token").asDouble())
          .isLessThanOrEqualTo(request.get("end").asDouble());
      for (JsonNode span : request.get("evicted")) {
        assertThat(span.get(1).asDouble()).isGreaterThan(span.get(0).asDouble());
      }
    }
    assertThat(fcfs.get("segments")).isEmpty();
    assertThat(fcfs.at("/holds/0/reason").asText()).isEqualTo("MEMORY");

    assertThat(nestedWait.get("buffer_tokens").asInt()).isBetween(1, 1920);
    assertThat(nestedWait.get("segments").size()).isGreaterThan(1);
    for (JsonNode segment : nestedWait.get("segments")) {
      int samples = segment.get("t").size();
      assertThat(samples).isGreaterThan(10);
      for (String series : List.of("occupancy", "capacity", "queue", "threshold")) {
        assertThat(segment.get(series)).as(series).hasSize(samples);
      }
    }

    JsonNode loads = data.at("/stability/loads");
    assertThat(loads.findValuesAsText("label")).containsExactly("arrivals", "fcfs", "nested-wait");
    assertThat(loads.get(0).get("measured").asBoolean()).isFalse();
    assertThat(loads.get(1).get("requests_per_second").asDouble())
        .isPositive()
        .isLessThan(loads.get(0).get("requests_per_second").asDouble());
  }

  @Test
  void theDecisionLogSaysWhyEachRequestWaited() throws Exception {
    Path log = folder.resolve("d.csv");
    CommandRun run =
        simulate(scarce("--scheduler", "fcfs", "--json", "--decision-log", log.toString()));
    JsonNode metrics = JSON.readTree(run.out()).at("/runs/0/metrics");
    List<String> lines = Files.readAllLines(log);
    assertThat(lines.getFirst()).isEqualTo("time,event,request,reason,overflow_probability");
    long held = lines.stream().filter(line -> line.contains(",held,")).count();
    long evicted = lines.stream().filter(line -> line.contains(",evicted,")).count();
    long all = 0;
    for (JsonNode count : metrics.get("holds")) {
      all += count.asLong();
    }
    assertThat(held).isEqualTo(all).isPositive();
    assertThat(evicted).isEqualTo(metrics.get("evictions").asLong()).isPositive();
    assertThat(lines).hasSize(Math.toIntExact(1 + held + evicted));
  }

  @Test
  void theDecisionLogHasThePredictionOfEachAdmission() throws Exception {
    Path log = folder.resolve("d.jsonl");
    simulate(scarce("--scheduler", "weir", "--decision-log", log.toString()));
    double before = 0;
    int admitted = 0;
    for (String line : Files.readAllLines(log)) {
      JsonNode entry = JSON.readTree(line);
      assertThat(entry.get("time").asDouble()).isGreaterThanOrEqualTo(before);
      before = entry.get("time").asDouble();
      if (entry.get("event").asText().equals("admitted")) {
        admitted++;
        assertThat(entry.get("overflow_probability").asDouble()).isBetween(0.0, 1.0);
      } else {
        assertThat(entry.has("overflow_probability")).isFalse();
      }
    }
    assertThat(admitted).isGreaterThanOrEqualTo(150);
  }

  @Test
  void theTraceForPerfettoHasASliceForEachIterationAndATrackForEachRequest() throws Exception {
    Path trace = folder.resolve("t.json");
    CommandRun run =
        simulate(scarce("--scheduler", "fcfs", "--json", "--chrome-trace", trace.toString()));
    JsonNode metrics = JSON.readTree(run.out()).at("/runs/0/metrics");
    JsonNode events = JSON.readTree(trace.toFile());
    assertThat(events.isArray()).isTrue();
    Map<String, Integer> counts = new HashMap<>();
    Map<Integer, Deque<String>> open = new HashMap<>();
    for (JsonNode event : events) {
      String name = event.get("name").asText();
      String phase = event.get("ph").asText();
      counts.merge(name + " " + phase, 1, Integer::sum);
      if (phase.equals("B")) {
        open.computeIfAbsent(event.get("tid").asInt(), _ -> new ArrayDeque<>()).push(name);
      } else if (phase.equals("E")) {
        assertThat(open.get(event.get("tid").asInt()).pop()).isEqualTo(name);
      }
    }
    assertThat(open).hasSize(150).allSatisfy((_, slices) -> assertThat(slices).isEmpty());
    int evictions = metrics.get("evictions").asInt();
    assertThat(evictions).isPositive();
    assertThat(counts)
        .containsEntry("iteration X", metrics.get("iterations").asInt())
        .containsEntry("waiting B", 150)
        .containsEntry("prefill B", 150)
        .containsEntry("completed i", 150)
        .containsEntry("evicted B", evictions)
        .containsEntry("recompute B", evictions)
        .containsEntry("evicted i", evictions)
        .containsEntry("process_name M", 2);
  }
}
