package dev.weir.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class UsageTest {
  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"generate", "bench", "info", "demo"})
  void everyCommandExplainsItself(String command) {
    CommandRun run = CommandRun.of(command, "--help");
    assertThat(run.status()).isZero();
    assertThat(run.out()).contains("Usage: weir " + command);
    assertThat(run.err()).isEmpty();
    assertThat(CommandRun.of("--help").out()).contains("  " + command);
  }

  @Test
  void tellsItsVersion() {
    CommandRun run = CommandRun.of("--version");
    assertThat(run.status()).isZero();
    assertThat(run.out()).startsWith("weir ").contains("Java " + Runtime.version().feature());
  }

  static Stream<Arguments> wrongUsage() {
    String model = CommandRun.MODEL;
    return Stream.of(
        wrong("no command given"),
        wrong("Unmatched argument at index 0: 'serve'", "serve"),
        wrong("Missing required option: '--model=DIR'", "generate", "Hello"),
        wrong("PROMPT", "generate", "--model", model),
        wrong("Unmatched argument", "generate", "--model", model, "--ids", "1", "Hello"),
        wrong("threads is -1", "generate", "--model", model, "--threads", "-1", "Hello"),
        wrong("block_size", "generate", "--model", model, "--block-size", "4096", "Hello"),
        wrong("'gpu' is no device", "generate", "--model", model, "--device", "gpu", "Hello"),
        wrong("--logprobs needs --json", "generate", "--model", model, "--logprobs", "3", "Hello"),
        wrong("'x' is not an int", "generate", "--model", model, "--ids", "1,x"),
        wrong("kvBlocks is 0", "generate", "--model", model, "--kv-blocks", "0", "Hello"),
        wrong(
            "mutually exclusive",
            "generate",
            "--model",
            model,
            "--kv-blocks",
            "9",
            "--kv-bytes",
            "1M",
            "Hello"),
        wrong("is no number of bytes", "info", "--kv-bytes", "1Q"),
        wrong(
            "no scheduler is named 'lifo'",
            "generate",
            "--model",
            model,
            "--scheduler",
            "lifo",
            "Hello"),
        wrong("no scheduler is named 'lifo'", "bench", "--model", model, "--scheduler", "lifo"),
        wrong("names one twice", "bench", "--model", model, "--scheduler", "fcfs,fcfs"),
        wrong("--rate is 0.0", "bench", "--model", model, "--rate", "0"),
        wrong("--rounds is 0", "bench", "--model", model, "--rounds", "0"),
        wrong("--rounds is 0", "demo", "--model", model, "--rounds", "0"),
        wrong("--requests is 0", "bench", "--model", model, "--requests", "0"),
        wrong(
            "--prompt-tokens: 'many' is no distribution",
            "bench",
            "--model",
            model,
            "--prompt-tokens",
            "many"),
        wrong(
            "do not go together with --trace",
            "bench",
            "--model",
            model,
            "--trace",
            "x.csv",
            "--prompt-tokens",
            "fixed:1"),
        wrong("--cost has 1 numbers", "bench", "--model", model, "--cost", "0.1"),
        wrong("fixedSeconds is -1.0", "bench", "--model", model, "--cost=-1,0"),
        wrong("--tokens is 513", "info", "--model", model, "--tokens", "513"));
  }

  private static Arguments wrong(String message, String... args) {
    return Arguments.of(message, args);
  }

  @ParameterizedTest
  @MethodSource("wrongUsage")
  void wrongUsageIsExplainedInOneLineAndEndsWithTwo(String message, String[] args) {
    CommandRun run = CommandRun.of(args);
    assertThat(run.err()).contains(message).contains("--help'.").doesNotContain("\tat ");
    assertThat(run.status()).isEqualTo(2);
    assertThat(run.out()).isEmpty();
  }

  @Test
  void aFailureIsOneLineAndEndsWithOne() {
    String nowhere = folder.resolve("nowhere").toString();
    CommandRun run = CommandRun.of("generate", "--model", nowhere, "Hello");
    assertThat(run.status()).isEqualTo(1);
    assertThat(run.out()).isEmpty();
    assertThat(run.err().lines()).hasSize(1);
    assertThat(run.err()).startsWith("weir generate: ").contains("nowhere");
  }

  @Test
  void verboseShowsTheStackTrace() {
    String nowhere = folder.resolve("nowhere").toString();
    CommandRun run = CommandRun.of("generate", "--verbose", "--model", nowhere, "Hello");
    assertThat(run.status()).isEqualTo(1);
    assertThat(run.err()).contains("\tat dev.weir.");
  }

  @Test
  void aPromptThatDoesNotFitIsAFailureThatNamesTheLimit() {
    CommandRun run =
        CommandRun.of("generate", "--model", CommandRun.MODEL, "--max-tokens", "600", "Hello");
    assertThat(run.status()).isEqualTo(1);
    assertThat(run.err()).contains("512");
    assertThat(run.out()).isEmpty();
  }

  @Test
  void aTraceThatIsNoneIsAFailure() {
    CommandRun run =
        CommandRun.of(
            "bench",
            "--model",
            CommandRun.MODEL,
            "--trace",
            folder.resolve("no.csv").toString(),
            "--no-progress");
    assertThat(run.status()).isEqualTo(1);
    assertThat(run.err()).contains("no.csv is no file");
  }
}
