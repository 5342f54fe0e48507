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
  @ValueSource(
      strings = {"generate", "bench", "simulate", "plan", "experiment", "profile", "info", "demo"})
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
        wrong("--threads is -1", "generate", "--model", model, "--threads", "-1", "Hello"),
        wrong("--block-size is 4096", "generate", "-m", model, "--block-size", "4096", "Hello"),
        wrong("'gpu' is no device", "generate", "--model", model, "--device", "gpu", "Hello"),
        wrong("'cpu:1' is no device", "generate", "--model", model, "--device", "cpu:1", "Hello"),
        wrong("'cuda:x' is no device", "info", "--device", "cuda:x"),
        wrong("'fp4' is no precision", "generate", "-m", model, "--precision", "fp4", "Hello"),
        wrong("'fp4' is no precision", "info", "--kv-precision", "fp4"),
        wrong("--threads is -1", "demo", "--model", model, "--threads", "-1"),
        wrong("--logprobs needs --json", "generate", "--model", model, "--logprobs", "3", "Hello"),
        wrong("'x' is not an int", "generate", "--model", model, "--ids", "1,x"),
        wrong("--kv-blocks is 0", "generate", "--model", model, "--kv-blocks", "0", "Hello"),
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
        wrong("mutually exclusive", "info", "--kv-rest", "--kv-bytes", "1M"),
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
        wrong("--rounds is 0", "profile", "--model", model, "--rounds", "0"),
        wrong("(-m=DIR | --from=FILE)", "profile"),
        wrong("mutually exclusive", "profile", "--model", model, "--from", "x.json"),
        wrong("--max-context is 1", "profile", "--model", model, "--max-context", "1"),
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
        wrong("D0 of --cost is -1.0", "bench", "--model", model, "--cost=-1,0"),
        wrong("D0 of --cost is 0.0", "bench", "--model", model, "--cost", "0,0"),
        wrong("D1 of --cost is NaN", "bench", "--model", model, "--cost", "1,NaN"),
        wrong(
            "--logprobs is 1000000, must be in 0..64",
            "generate",
            "-m",
            model,
            "--json",
            "--logprobs",
            "1000000",
            "Hello"),
        wrong("--logprobs is -1", "generate", "-m", model, "--json", "--logprobs", "-1", "Hello"),
        wrong("--max-tokens is 0", "generate", "-m", model, "--max-tokens", "0", "Hello"),
        wrong("--temperature is NaN", "generate", "-m", model, "--temperature", "NaN", "Hello"),
        wrong("--top-p is 1.5", "generate", "-m", model, "--top-p", "1.5", "Hello"),
        wrong("--top-k is 513", "generate", "-m", model, "--top-k", "513", "Hello"),
        wrong(
            "--repetition-penalty is 0.0",
            "generate",
            "-m",
            model,
            "--repetition-penalty",
            "0",
            "Hello"),
        wrong("length of --stop is 0", "generate", "-m", model, "--stop", "", "Hello"),
        wrong("must be in 0..511", "generate", "-m", model, "--ids", "1,512"),
        wrong(
            "the pool holds 16 (--kv-blocks, --kv-bytes)",
            "generate",
            "-m",
            model,
            "--kv-blocks",
            "1",
            "Hello"),
        wrong("--preemption swap needs", "bench", "-m", model, "--preemption", "swap"),
        wrong(
            "'nested_wait' is none of the schedulers to compare, [fcfs, weir]",
            "bench",
            "-m",
            model,
            "--scheduler-option",
            "nested_wait.pace=2"),
        wrong(
            "no request of the workload fits into 512 tokens",
            "bench",
            "-m",
            model,
            "--prompt-tokens",
            "fixed:2000000000"),
        wrong("--load is NaN", "demo", "-m", model, "--load", "NaN"),
        wrong("--max-tokens is 0", "demo", "-m", model, "--max-tokens", "0"),
        wrong("the model's context has room for 512", "demo", "-m", model, "--max-tokens", "600"),
        wrong("the KV pool holds 400 (--kv-blocks)", "demo", "-m", model, "--kv-blocks", "25"),
        wrong("--kv-blocks is -1, must be in 1..", "info", "-m", model, "--kv-blocks", "-1"),
        wrong(
            "--kv-blocks is 9000000000000000000, must be in 1..",
            "info",
            "-m",
            model,
            "--kv-blocks",
            "9000000000000000000"),
        wrong(
            "--kv-blocks is 500000000000000000, must be in 0..2147483647",
            "info",
            "-m",
            model,
            "--kv-blocks",
            "500000000000000000"),
        wrong(
            "--kv-bytes is 100, and one block of 16 tokens takes",
            "info",
            "-m",
            model,
            "--kv-bytes",
            "100"),
        wrong("no scheduler is named 'lifo'", "simulate", "--scheduler", "lifo"),
        wrong("--batches and --out", "simulate", "--batches", "x.csv"),
        wrong(
            "--html is for simulations",
            "simulate",
            "--batches",
            "x.csv",
            "--out",
            "y.csv",
            "--html",
            "z.html"),
        wrong("--requests-out needs one scheduler", "simulate", "--requests-out", "r.csv"),
        wrong(
            "--iterations-out, --decision-log need one scheduler, not [fcfs, weir]",
            "simulate",
            "--decision-log",
            "d.csv",
            "--iterations-out",
            "i.csv"),
        wrong("--chrome-trace needs one scheduler", "simulate", "--chrome-trace", "t.json"),
        wrong(
            "--chrome-trace needs one scheduler and one round",
            "bench",
            "--model",
            model,
            "--scheduler",
            "fcfs",
            "--rounds",
            "2",
            "--chrome-trace",
            "t.json"),
        wrong("--arrivals: 'soon' is no arrival process", "simulate", "--arrivals", "soon"),
        wrong(
            "--iteration-time: 'fast' is no time of an iteration",
            "simulate",
            "--iteration-time",
            "fast"),
        wrong("semantics vidur", "simulate", "--scheduler", "fcfs", "--semantics", "vidur"),
        wrong("--blocks is 0", "simulate", "--blocks", "0"),
        wrong("--batch-cap is 0", "simulate", "--batch-cap", "0"),
        wrong("--chunk is 0", "simulate", "--chunk", "0"),
        wrong("is none of the schedulers", "simulate", "--scheduler-option", "x.y=1"),
        wrong("--preemption swap needs", "simulate", "--preemption", "swap"),
        wrong("'b200' is no known device; there are [a100-40gb,", "plan", "--device", "b200"),
        wrong("--memory-utilization is 1.5", "plan", "--memory-utilization", "1.5"),
        wrong("--delta is 0.5", "plan", "--delta", "0.5"),
        wrong("--horizon is 0", "plan", "--horizon", "0"),
        wrong("--segments is 0", "plan", "--segments", "0"),
        wrong("--boundaries is '3,x', must be halving", "plan", "--boundaries", "3,x"),
        wrong("boundaries is [3, 2], must increase", "plan", "--boundaries", "3,2"),
        wrong("--boundaries is '99999999999'", "plan", "--boundaries", "99999999999"),
        wrong("--rate is -1.0", "plan", "--rate", "-1"),
        wrong("--blocks is 0", "plan", "--blocks", "0"),
        wrong("mutually exclusive", "plan", "--blocks", "9", "--memory", "1G"),
        wrong("'fast' is no time of an iteration", "plan", "--iteration-time", "fast"),
        wrong("leave -", "plan", "--memory", "1GiB"),
        wrong(
            "no request of the workload fits into 4096 tokens",
            "plan",
            "--prompt-tokens",
            "fixed:5000"),
        wrong("--context is 513", "info", "--model", model, "--context", "513"));
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
  void aPromptThatDoesNotFitIsWrongUsageAndTheLimitIsNamed() {
    CommandRun run =
        CommandRun.of("generate", "--model", CommandRun.MODEL, "--max-tokens", "600", "Hello");
    assertThat(run.status()).isEqualTo(2);
    assertThat(run.err()).contains("--max-tokens is 600", "512");
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
