package dev.weir.cli.report;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.weir.cli.bench.IterationSample;
import dev.weir.cli.bench.RequestOutcome;
import dev.weir.cli.bench.RunMetrics;
import dev.weir.cli.bench.RunResult;
import dev.weir.scheduling.HoldReason;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class HtmlReportTest {
  private static final long MS = 1_000_000;

  private static ReportedRun run(String scheduler, int iterations) {
    List<IterationSample> samples = new ArrayList<>();
    for (int i = 1; i <= iterations; i++) {
      samples.add(
          new IterationSample(i * MS, MS, i == iterations / 2 ? 20 : 5, 5, 1, 0, i == 3 ? 2 : 0));
    }
    RequestOutcome outcome =
        new RequestOutcome(
            0,
            4,
            3,
            0,
            MS,
            new long[] {2 * MS, 5 * MS},
            6 * MS,
            "STOP",
            false,
            new long[] {3 * MS},
            5,
            new int[] {7, 8},
            "");
    RequestOutcome refused =
        new RequestOutcome(
            1,
            4,
            3,
            MS,
            RequestOutcome.NEVER,
            new long[0],
            MS,
            "QUEUE_FULL",
            true,
            new long[0],
            0,
            new int[0],
            "");
    RunResult result =
        new RunResult(
            scheduler,
            "",
            20,
            16,
            iterations * MS,
            MS,
            List.of(outcome, refused),
            samples,
            Map.of(HoldReason.MEMORY, 900L, HoldReason.PACING, 100L),
            Map.of());
    return new ReportedRun(
        result, RunMetrics.of(result, false), OptionalDouble.of(48), OptionalDouble.empty());
  }

  private static String page(int iterations) {
    return HtmlReport.render(
        Report.of(
            "A title",
            "A lead.",
            List.of(new Fact("seed", "42")),
            List.of(run("fcfs", iterations), run("nested-wait", iterations)),
            List.of(new Story("He said", " </script><script>alert(1)</script> <!-- \"hi\" ä")),
            "A note."));
  }

  private static JsonNode data(String page) throws Exception {
    Matcher matcher =
        Pattern.compile(
                "<script type=\"application/json\" id=\"data\">(.*?)</script>", Pattern.DOTALL)
            .matcher(page);
    assertThat(matcher.find()).isTrue();
    return new ObjectMapper().readTree(matcher.group(1));
  }

  @Test
  void loadsNothingFromAnywhere() {
    String page = page(10);
    assertThat(page)
        .doesNotContainPattern(
            "(?i)<(script|link|img|iframe)[^>]*(src|href)\\s*=\\s*[\"']?(https?:)?//")
        .doesNotContainPattern(
            "(?i)@import|url\\(\\s*[\"']?(https?:)?//|\\bfetch\\(|XMLHttpRequest|import\\(")
        .doesNotContain("sourceMappingURL");
    // The chart library is inside, not the place where it should have been put.
    assertThat(page).contains("Chart.js v4").doesNotContain("/*CHART*/").doesNotContain("/*DATA*/");
  }

  @Test
  void textOfTheModelStaysText() throws Exception {
    JsonNode data = data(page(10));
    assertThat(data.at("/stories/0/text").asText())
        .isEqualTo(" </script><script>alert(1)</script> <!-- \"hi\" ä");
  }

  @Test
  void carriesWhatTheChartsNeed() throws Exception {
    JsonNode run = data(page(10)).at("/runs/0");
    assertThat(run.get("name").asText()).isEqualTo("fcfs");
    assertThat(run.get("capacity_tokens").asInt()).isEqualTo(320);
    assertThat(run.get("buffer_tokens").asInt()).isEqualTo(48);
    assertThat(run.get("equilibrium_tokens").isNull()).isTrue();
    assertThat(run.at("/evictions/0/t").asDouble()).isEqualTo(0.003);
    assertThat(run.at("/evictions/0/n").asInt()).isEqualTo(2);
    // Evicted at 3 ms, and the next token came at 5 ms.
    assertThat(run.at("/requests/0/evicted/0/0").asDouble()).isEqualTo(0.003);
    assertThat(run.at("/requests/0/evicted/0/1").asDouble()).isEqualTo(0.005);
    assertThat(run.at("/requests/0/first_token").asDouble()).isEqualTo(0.002);
    assertThat(run.at("/requests/1/first_token").isNull()).isTrue();
  }

  @Test
  void tellsWhyRequestsWereHeldBack() throws Exception {
    JsonNode rows = data(page(10)).get("rows");
    assertThat(rows.findValuesAsText("label")).contains("requests held back, each iteration");
    assertThat(rows.toString()).contains("1,000 (90.0 % MEMORY)");
    JsonNode holds = data(page(10)).at("/runs/0/holds");
    assertThat(holds.findValuesAsText("reason")).containsExactly("MEMORY", "PACING");
    assertThat(holds.findValuesAsText("count")).containsExactly("900", "100");
  }

  @Test
  void aLongRunIsThinnedButKeepsItsPeak() throws Exception {
    JsonNode timeline = data(page(100_000)).at("/runs/0/timeline");
    assertThat(timeline.get("t").size()).isBetween(500, 2_000);
    long peak = 0;
    double previous = -1;
    for (int i = 0; i < timeline.get("t").size(); i++) {
      peak = Math.max(peak, timeline.get("used").get(i).asLong());
      assertThat(timeline.get("t").get(i).asDouble()).isGreaterThan(previous);
      previous = timeline.get("t").get(i).asDouble();
    }
    assertThat(peak).isEqualTo(20 * 16);
  }
}
