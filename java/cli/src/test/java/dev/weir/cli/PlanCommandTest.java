package dev.weir.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PlanCommandTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path folder;

  private static CommandRun plan(String... args) {
    List<String> all = new ArrayList<>(List.of("plan"));
    all.addAll(List.of(args));
    return CommandRun.of(all.toArray(String[]::new));
  }

  private static JsonNode json(String... args) throws Exception {
    List<String> all = new ArrayList<>(List.of(args));
    all.add("--json");
    CommandRun run = plan(all.toArray(String[]::new));
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
    return JSON.readTree(run.out());
  }

  /**
   * 0.9 * 80 GiB = 77,309,411,328 B, less 13,476,831,232 B of weights and 206,831,616 B of
   * activations, are 7,584 blocks of 16 * 524,288 B.
   */
  @Test
  void theMemoryOfAnA100IsDividedAsByHand() throws Exception {
    JsonNode plan = json("--rate", "1");
    assertThat(plan.at("/model/kv_bytes_per_token").asLong()).isEqualTo(524_288);
    assertThat(plan.at("/memory/kv_bytes").asLong()).isEqualTo(63_625_748_480L);
    assertThat(plan.at("/kv_pool/blocks").asLong()).isEqualTo(7584);
    assertThat(plan.at("/kv_pool/tokens").asLong()).isEqualTo(121_344);
    assertThat(plan.at("/workload/name").asText()).startsWith("Azure conversation trace");
    assertThat(plan.get("iteration_time").asText()).isEqualTo("profile");
    assertThat(plan.get("stable").asBoolean()).isTrue();
  }

  /**
   * Prompt 256, output 128: W = 129 * 320 = 41,280. 256 sequences hold 256 * 320 = 81,920 tokens,
   * less than the pool's 118,784; mu = 256 / 129 / (0.01 + 1e-7 * 81,920) = 109.1. At 50/s: rho =
   * 1e-7 * 50 * 41,280 = 0.2064, dT* = 12.6008 ms, M* = 26,008.
   */
  @Test
  void theRegionOfALinearTimeIsThatOfTheFormulas() throws Exception {
    JsonNode plan =
        json(
            "--blocks",
            "7424",
            "--iteration-time",
            "linear:0.01,1e-7",
            "--prompt-tokens",
            "fixed:256",
            "--output-tokens",
            "fixed:128",
            "--rate",
            "50");
    assertThat(plan.get("memory").isNull()).isTrue();
    assertThat(plan.at("/workload/lengths/prompt").asDouble()).isEqualTo(256);
    assertThat(plan.get("bound").asText()).isEqualTo("SEQUENCES");
    assertThat(plan.get("usable_tokens").asDouble()).isCloseTo(81_920, within(1e-6));
    assertThat(plan.get("sustainable_rate").asDouble()).isCloseTo(109.0862, within(1e-3));
    assertThat(plan.at("/equilibrium/load").asDouble()).isCloseTo(0.2064, within(1e-9));
    assertThat(plan.at("/equilibrium/iteration_seconds").asDouble())
        .isCloseTo(0.0126008, within(1e-7));
    assertThat(plan.at("/equilibrium/resident_tokens").asDouble()).isCloseTo(26_008, within(1.0));
    // 1 - max(0.2064, 26,008 / 81,920)
    assertThat(plan.at("/equilibrium/stability_margin").asDouble()).isCloseTo(0.6825, within(1e-4));
    assertThat(plan.get("equilibrium_residual").asDouble()).isZero();
    assertThat(plan.get("advice").asText())
        .isEqualTo("Serves 109 requests/s at most; you ask for 50: stable with 54 % to spare.");
  }

  @Test
  void aSmallerDeltaAndALongerHorizonCostBuffer() throws Exception {
    double loose = json("--rate", "1").at("/nested_wait/buffer_tokens").asDouble();
    String[] slack = {"--rate", "1", "--boundaries", "144,396"};
    JsonNode plan = json(slack);
    assertThat(plan.at("/nested_wait/segments/0/boundary").asInt()).isEqualTo(144);
    assertThat(plan.at("/nested_wait/segments")).hasSize(3);
    assertThat(loose).isPositive();
    CommandRun text = plan("--rate", "1", "--delta", "0.01", "--horizon", "20000");
    assertThat(text.out())
        .contains("with probability 0.99 no entrance outgrows its bound in 20,000 iterations")
        .contains("at most one such period in 100 sees an overflow")
        .contains("Segments of Nested WAIT", "Price of certainty", "720 h");
  }

  @Test
  void theChoiceOfBoundariesStandsBesideOthers() throws Exception {
    JsonNode choices = json("--rate", "1").at("/nested_wait/boundary_choices");
    assertThat(choices.findValuesAsText("rule"))
        .containsExactly("LEAST_MEMORY", "HALVING", "EQUAL");
    double least = memory(choices.get(0));
    assertThat(least).isPositive();
    assertThat(memory(choices.get(1))).isGreaterThan(least);
    assertThat(memory(choices.get(2))).isGreaterThan(least);
    JsonNode chosen = json("--rate", "1", "--boundaries", "least-memory").get("nested_wait");
    assertThat(chosen.at("/segments/0/boundary").asInt())
        .isEqualTo(chosen.at("/boundary_choices/0/boundaries/0").asInt());
    assertThat(plan("--rate", "1", "--boundaries", "equal").out()).contains("Above: equal.");
  }

  private static double memory(JsonNode choice) {
    return choice.get("core_tokens").asDouble() + choice.get("buffer_tokens").asDouble();
  }

  @Test
  void withoutARateTheLargestOneIsTheAnswer() throws Exception {
    JsonNode plan = json("--requests", "50");
    assertThat(plan.get("requested_rate").isNull()).isTrue();
    assertThat(plan.get("advice").asText()).startsWith("Serves ").contains("at most, bound by");
  }

  @Test
  void aLoadThatIsTooMuchIsToldWhatItNeeds() {
    CommandRun run = plan("--rate", "100", "--html", folder.resolve("u.html").toString());
    assertThat(run.status()).isZero();
    assertThat(run.out())
        .startsWith("Unstable at 100 requests/s: ")
        .contains("replicas, or at most ")
        .containsPattern("equilibrium +none at 100 requests/s: load 1");
  }

  /** 256 prompt and 128 output tokens: the pool holds more than the 256 of an iteration. */
  @Test
  void thresholdsThatNeedMoreSequencesThanAnIterationHasSaySo() {
    String[] load = {"--prompt-tokens", "fixed:256", "--output-tokens", "fixed:128", "--rate", "9"};
    List<String> more = new ArrayList<>(List.of(load));
    assertThat(plan(more.toArray(String[]::new)).out())
        .containsPattern("for certain, if --max-sequences is at least 3\\d\\d instead of 256");
    more.addAll(List.of("--max-sequences", "1000"));
    assertThat(plan(more.toArray(String[]::new)).out())
        .contains("for certain")
        .doesNotContain("if --max-sequences");
  }

  @Test
  void moreReplicasThanAnIntegerHoldsAreCounted() {
    assertThat(plan("--rate", "1e12").out())
        .containsPattern("needs 15\\d,\\d{3},\\d{3},\\d{3} replicas");
  }

  @Test
  void anEstimateIsCalledOne() {
    assertThat(plan("--device", "h200", "--rate", "1").out())
        .contains("roofline of h200: AN ESTIMATE from the data sheet at 0.7 of its peaks");
    assertThat(plan("--rate", "1").out()).doesNotContain("ESTIMATE");
  }

  @Test
  void requestsLongerThanTheContextAreLeftOutAndCounted() throws Exception {
    Path trace =
        Files.writeString(
            folder.resolve("t.csv"),
            """
            arrived_at,num_prefill_tokens,num_decode_tokens
            0,100,100
            1,4000,97
            2,100,100
            3,100,100
            """);
    CommandRun run = plan("--workload", trace.toString());
    assertThat(run.out()).contains("1 of 4 left out, longer than 4,096 tokens");
    // Three gaps in 3 s are one request a second, of which three quarters fit.
    assertThat(json("--workload", trace.toString()).get("requested_rate").asDouble())
        .isEqualTo(0.75);
  }

  @Test
  void classesOfKnownLengthsGetThresholdsOfWait() throws Exception {
    Path trace =
        Files.writeString(
            folder.resolve("t.csv"),
            """
            arrived_at,num_prefill_tokens,num_decode_tokens
            0,100,10
            1,100,10
            2,300,50
            3,100,10
            4,100,10
            """);
    CommandRun run = plan("--workload", trace.toString(), "--rate", "2");
    assertThat(run.out())
        .contains("Classes of WAIT")
        .containsPattern("100 / 10 +\\| +1\\.6 ")
        .containsPattern("300 / 50 +\\| +0\\.4 ");
    assertThat(plan("--rate", "2").out()).doesNotContain("Classes of WAIT");
  }

  @Test
  void aPoolTooSmallForNestedWaitStillHasAPlan() {
    CommandRun run = plan("--blocks", "100", "--rate", "1");
    assertThat(run.status()).isZero();
    assertThat(run.out()).contains("nested-wait needs").contains("stable region");
  }

  @Test
  void thePageHoldsWhatItShows() throws Exception {
    Path page = folder.resolve("plan.html");
    CommandRun run = plan("--rate", "5", "--html", page.toString());
    assertThat(run.out()).contains("page: " + page);
    String html = Files.readString(page);
    assertThat(html)
        .doesNotContainPattern("(?i)<(script|link|img)[^>]*(src|href)\\s*=\\s*[\"']?(https?:)?//")
        .doesNotContain("/*DATA*/", "/*STYLE*/", "/*PAGE*/", "/*CHART*/");
    int start = html.indexOf("id=\"data\">") + "id=\"data\">".length();
    JsonNode data = JSON.readTree(html.substring(start, html.indexOf("</script>", start)));
    JsonNode curve = data.at("/stability/sustainable_rates");
    assertThat(curve.size()).isGreaterThan(30);
    assertThat(curve.get(0).asDouble()).isGreaterThan(curve.get(curve.size() - 1).asDouble());
    assertThat(data.at("/stability/loads/0/requests_per_second").asDouble()).isEqualTo(5);
    assertThat(data.at("/memory").findValuesAsText("label"))
        .contains("weights", "activations", "KV core", "KV safety buffer", "not used");
    assertThat(data.at("/tables/0/rows")).hasSize(3);
  }
}
