package dev.weir.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GenerateCommandTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path folder;

  /** The case of golden.json with this prompt. */
  private static JsonNode golden(String prompt) throws IOException {
    for (JsonNode one :
        JSON.readTree(Path.of(CommandRun.MODEL, "golden.json").toFile()).get("cases")) {
      if (one.get("prompt").asText().equals(prompt)) {
        return one;
      }
    }
    throw new AssertionError("golden.json has no prompt '" + prompt + "'");
  }

  private static CommandRun generate(String... args) {
    String[] all = new String[args.length + 3];
    all[0] = "generate";
    all[1] = "--model";
    all[2] = CommandRun.MODEL;
    System.arraycopy(args, 0, all, 3, args.length);
    return CommandRun.of(all);
  }

  private static List<Integer> ints(JsonNode array) {
    return IntStream.range(0, array.size()).mapToObj(i -> array.get(i).asInt()).toList();
  }

  @Test
  void printsTheGoldenStory() throws Exception {
    String prompt = "Once upon a time";
    String story = prompt + golden(prompt).get("greedy_text").asText();

    CommandRun run = generate("--precision", "fp32", "--max-tokens", "64", prompt);
    assertThat(run.err()).isEmpty();
    assertThat(run.out()).isEqualTo(story + System.lineSeparator());
    assertThat(run.status()).isZero();

    // Without a limit the story goes on.
    assertThat(generate("--precision", "fp32", prompt).out())
        .startsWith(story)
        .hasSizeGreaterThan(story.length() + 100);
  }

  @Test
  void theTimeLineHasThePromptAndEveryToken() throws Exception {
    Path trace = folder.resolve("trace.json");
    CommandRun run =
        generate("--max-tokens", "5", "--ignore-eos", "--chrome-trace", trace.toString(), "Once");
    assertThat(run.status()).isZero();
    JsonNode events = JSON.readTree(trace.toFile());
    int decoded = 0;
    int prefilled = 0;
    for (JsonNode event : events) {
      if (event.get("name").asText().equals("iteration")) {
        decoded += event.at("/args/decoding").asInt();
        prefilled += event.at("/args/prefill tokens").asInt();
      }
    }
    // The first token comes out of the prefill.
    assertThat(decoded).isEqualTo(4);
    assertThat(prefilled).isPositive();
    assertThat(events.findValuesAsText("outcome")).containsExactly("length");

    run = generate("--chrome-trace", folder.toString(), "Once");
    assertThat(run.status()).isEqualTo(1);
    assertThat(run.err()).contains("cannot write").contains("irectory");
  }

  @Test
  void jsonHasIdsTextLogProbabilitiesAndTimings() throws Exception {
    JsonNode golden = golden("Once upon a time");
    CommandRun run =
        generate(
            "--ids",
            "1,403,407,261,378",
            "--precision",
            "fp32",
            "--max-tokens",
            "48",
            "--temperature",
            "0",
            "--ignore-eos",
            "--json",
            "--logprobs",
            "3");
    assertThat(run.err()).isEmpty();
    assertThat(run.out().lines()).hasSize(1);
    JsonNode answer = JSON.readTree(run.out());

    assertThat(answer.get("prompt").isNull()).isTrue();
    assertThat(ints(answer.get("prompt_ids"))).containsExactly(1, 403, 407, 261, 378);
    assertThat(ints(answer.get("ids"))).isEqualTo(ints(golden.get("greedy_ids")).subList(0, 48));
    assertThat(golden.get("greedy_text").asText()).startsWith(answer.get("text").asText());
    assertThat(answer.get("finish_reason").asText()).isEqualTo("length");
    assertThat(answer.get("logprobs")).hasSize(48);
    for (int i = 0; i < 48; i++) {
      JsonNode token = answer.get("logprobs").get(i);
      assertThat(token.get("id")).isEqualTo(answer.get("ids").get(i));
      // Greedy: the token is the most likely one, and leads the second by the golden margin.
      assertThat(token.get("top")).hasSize(3);
      assertThat(token.at("/top/0/id")).isEqualTo(token.get("id"));
      assertThat(token.at("/top/0/logprob")).isEqualTo(token.get("logprob"));
      assertThat(token.get("logprob").asDouble() - token.at("/top/1/logprob").asDouble())
          .isCloseTo(
              golden.get("greedy_margin").get(i).asDouble(),
              org.assertj.core.data.Offset.offset(1e-3));
    }
    for (String timing :
        List.of(
            "queue_ms",
            "time_to_first_token_ms",
            "time_per_output_token_ms",
            "end_to_end_ms",
            "output_tokens_per_second")) {
      assertThat(answer.at("/timings/" + timing).isNumber()).as(timing).isTrue();
    }
    assertThat(answer.at("/timings/end_to_end_ms").asDouble())
        .isGreaterThanOrEqualTo(answer.at("/timings/time_to_first_token_ms").asDouble());
    assertThat(answer.get("evictions").asInt()).isZero();
    assertThat(answer.get("recomputed_tokens").asInt()).isZero();
  }

  /** The options reach the device: it refuses what it cannot do. */
  @Test
  void aPrecisionThatTheDeviceLacksIsNamedWithItsOption() {
    CommandRun run = generate("--device", "cpu-reference", "--precision", "bf16", "Hello");
    assertThat(run.status()).isEqualTo(1);
    assertThat(run.err())
        .startsWith("weir generate: --precision is ")
        .contains("the reference backend computes in fp32 only");
    assertThat(run.out()).isEmpty();
  }

  @Test
  void pinnedAndDeterministicItSaysTheSame() {
    String[] arguments = {"--max-tokens", "10", "--threads", "1", "Once upon a time"};
    String[] settings = Arrays.copyOf(arguments, arguments.length + 2);
    settings[arguments.length] = "--pin-threads";
    settings[arguments.length + 1] = "--deterministic";
    CommandRun run = generate(settings);
    assertThat(run.err()).isEmpty();
    assertThat(run.out()).isEqualTo(generate(arguments).out());
  }

  @Test
  void withoutLogProbabilitiesThereAreNone() throws Exception {
    JsonNode answer = JSON.readTree(generate("--json", "--max-tokens", "2", "Hello").out());
    assertThat(answer.get("logprobs").isNull()).isTrue();
    assertThat(answer.get("prompt").asText()).isEqualTo("Hello");
  }

  @Test
  void severalPromptsAreSeparated() {
    CommandRun run = generate("--max-tokens", "4", "Once upon a time", "Lily");
    assertThat(run.status()).isZero();
    String line = System.lineSeparator();
    assertThat(run.out())
        .startsWith("--- prompt 1 of 2" + line + "Once upon a time, there was")
        .contains(line + line + "--- prompt 2 of 2" + line + "Lily");
  }

  @Test
  void aSeedRepeatsASampledStoryAndAnotherSeedDoesNot() {
    String[] arguments = {"--temperature", "1", "--max-tokens", "40", "--seed", "7", "The cat"};
    String story = generate(arguments).out();
    assertThat(generate(arguments).out()).isEqualTo(story);
    arguments[5] = "8";
    assertThat(generate(arguments).out()).isNotEqualTo(story);
  }

  @Test
  void aStopStringEndsTheTextInFrontOfIt() throws Exception {
    JsonNode answer =
        JSON.readTree(generate("--json", "--stop", " Lily", "Once upon a time").out());
    assertThat(answer.get("text").asText()).isEqualTo(", there was a little girl named");
    assertThat(answer.get("finish_reason").asText()).isEqualTo("stop");
  }

  @Test
  void readsThePromptFromAFile() throws Exception {
    Path file = Files.writeString(folder.resolve("prompt.txt"), "Once upon a time");
    CommandRun run = generate("--max-tokens", "3", "--no-echo", "--prompt-file", file.toString());
    assertThat(run.out().strip()).isEqualTo(", there was");

    Files.write(file, new byte[] {(byte) 0xff, 'a'});
    run = generate("--prompt-file", file.toString());
    assertThat(run.status()).isEqualTo(1);
    assertThat(run.err()).contains("is not UTF-8");
  }

  @Test
  void theReferenceDeviceGivesTheSameIds() throws Exception {
    List<Integer> ids = ints(golden("Once upon a time").get("greedy_ids")).subList(0, 20);
    JsonNode answer =
        JSON.readTree(
            generate(
                    "--device",
                    "cpu-reference",
                    "--json",
                    "--max-tokens",
                    "20",
                    "--block-size",
                    "3",
                    "--scheduler",
                    "nested-wait",
                    "Once upon a time")
                .out());
    assertThat(ints(answer.get("ids"))).isEqualTo(ids);
  }
}
