package dev.weir.cli;

import dev.weir.engine.Engine;
import dev.weir.engine.EngineOptions;
import dev.weir.engine.GeneratedToken;
import dev.weir.engine.Generation;
import dev.weir.engine.GenerationRequest;
import dev.weir.engine.GenerationResult;
import dev.weir.engine.TokenLogProbability;
import dev.weir.runtime.Sampling;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code weir generate}: continues prompts. */
@Command(
    name = "generate",
    mixinStandardHelpOptions = true,
    versionProvider = VersionProvider.class,
    sortOptions = false,
    abbreviateSynopsis = true,
    header = "Continues prompts and prints them as they come.",
    description = {
      "",
      "Prints each prompt with its continuation, as it comes. Several prompts are answered one"
          + " after another.",
      ""
    },
    footer = {
      "",
      "Examples:",
      "  weir generate --model models/stories260K \"Once upon a time\"",
      "  weir generate --model models/stories260K --temperature 0.8 --seed 7 \"Lily saw a cat.\"",
      "  weir generate --model models/stories260K --ids 1,403,407 --max-tokens 48 --ignore-eos"
          + " --json"
    })
final class GenerateCommand implements Callable<Integer> {
  /** The default length, where the model's context has room for it. */
  private static final int DEFAULT_MAX_TOKENS = 256;

  @Spec private CommandSpec spec;

  @Option(
      names = {"-m", "--model"},
      paramLabel = "DIR",
      required = true,
      description = "Folder with config.json, *.safetensors and a tokenizer.")
  private Path model;

  @ArgGroup(exclusive = true, multiplicity = "1")
  private Prompt prompt;

  private static final class Prompt {
    @Parameters(paramLabel = "PROMPT", arity = "1..*", description = "Texts to continue.")
    private List<String> texts;

    @Option(
        names = "--prompt-file",
        paramLabel = "FILE",
        description = "File whose whole text is the prompt (UTF-8); - for standard input.")
    private String file;

    @Option(
        names = "--ids",
        split = ",",
        paramLabel = "ID,...",
        hideParamSyntax = true,
        description = "The prompt as token ids, separated by commas. They are taken as they are.")
    private int[] ids;
  }

  @Option(
      names = {"-n", "--max-tokens"},
      paramLabel = "N",
      description =
          "The most tokens to generate (default: "
              + DEFAULT_MAX_TOKENS
              + ", or fewer if the context has no more room).")
  private Integer maxTokens;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      defaultValue = "0",
      description =
          "0 takes the most likely token always; 1 samples from the model's distribution"
              + " (default: ${DEFAULT-VALUE}).")
  private float temperature;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      defaultValue = "0",
      description =
          "Sample from the K most likely tokens only; 0 for all (default:" + " ${DEFAULT-VALUE}).")
  private int topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      defaultValue = "1",
      description =
          "Sample from the smallest set of tokens with this probability (default:"
              + " ${DEFAULT-VALUE}).")
  private float topP;

  @Option(
      names = "--repetition-penalty",
      paramLabel = "R",
      defaultValue = "1",
      description =
          "Make tokens that are there already less likely, if greater than 1 (default:"
              + " ${DEFAULT-VALUE}).")
  private float repetitionPenalty;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      description = "The same seed gives the same text (default: a new one every time).")
  private Long seed;

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      description = "End in front of this text; can be given several times.")
  private List<String> stop = List.of();

  @Option(names = "--ignore-eos", description = "Go on after a token that ends the text.")
  private boolean ignoreEos;

  @Option(
      names = "--logprobs",
      paramLabel = "N",
      description =
          "Log-probability of every token, and of the N most likely ones, in the JSON output.")
  private Integer logProbabilities;

  @Option(
      names = "--json",
      description =
          "Print one JSON object a prompt, on a line of its own: prompt_ids, ids, text,"
              + " finish_reason, logprobs, timings.")
  private boolean json;

  @Option(
      names = "--no-echo",
      description = "Print the continuation only, without the prompt in front of it.")
  private boolean noEcho;

  @Option(names = "--stats", description = "Print the speed to standard error.")
  private boolean stats;

  @Option(
      names = "--chrome-trace",
      paramLabel = "FILE",
      description = TimelineFile.DESCRIPTION + ".")
  private Path chromeTrace;

  @Option(
      names = "--scheduler",
      paramLabel = "NAME",
      defaultValue = "fcfs",
      description = "Scheduler; see 'weir info' (default: ${DEFAULT-VALUE}).")
  private String scheduler;

  @Option(
      names = "--scheduler-option",
      paramLabel = "NAME=VALUE",
      description = "Setting of the scheduler; can be given several times.")
  private Map<String, String> schedulerOptions = new LinkedHashMap<>();

  @Mixin private EngineArguments engineArguments;

  @Override
  public Integer call() throws CliException {
    checkArguments();
    PrintWriter out = spec.commandLine().getOut();
    List<String> texts = texts();
    int count = prompt.ids != null ? 1 : texts.size();
    Engine engine = EngineStart.start(options(), true);
    return TimelineFile.record(
        engine,
        Optional.ofNullable(chromeTrace)
            .map(file -> new TimelineFile(file, spec.commandLine().getErr())),
        () -> {
          try (engine) {
            generate(engine, texts, count, out);
          }
          return 0;
        });
  }

  private void generate(Engine engine, List<String> texts, int count, PrintWriter out)
      throws CliException {
    for (int i = 0; i < count; i++) {
      GenerationRequest.Builder request =
          prompt.ids != null
              ? GenerationRequest.builder(prompt.ids)
              : GenerationRequest.builder(texts.get(i));
      String text = prompt.ids != null ? null : texts.get(i);
      Generation generation = engine.submit(parameters(engine, request, text));
      if (json) {
        out.println(Json.line(Answer.of(text, generation.await(), logProbabilities != null)));
      } else {
        if (count > 1) {
          out.printf("%s--- prompt %d of %d%n", i == 0 ? "" : System.lineSeparator(), i + 1, count);
        }
        print(out, generation, text == null || noEcho ? "" : text);
      }
      flush(out);
    }
  }

  private void checkArguments() {
    OptionCheck check = new OptionCheck(spec.commandLine());
    if (maxTokens != null) {
      check.atLeast("--max-tokens", maxTokens, 1);
    }
    check.notNegative("--temperature", temperature);
    check.atLeast("--top-k", topK, 0);
    if (!(topP > 0 && topP <= 1)) {
      throw check.refused("--top-p is " + topP + ", must be greater than 0 and at most 1");
    }
    check.positive("--repetition-penalty", repetitionPenalty);
    check.within("number of --stop", stop.size(), 0, GenerationRequest.MAX_STOP_STRINGS);
    for (String text : stop) {
      check.within("length of --stop", text.length(), 1, GenerationRequest.MAX_STOP_LENGTH);
    }
    if (logProbabilities != null) {
      check.within("--logprobs", logProbabilities, 0, Sampling.MAX_TOP_LOG_PROBABILITIES);
      if (!json) {
        throw check.refused("--logprobs needs --json");
      }
    }
    check.scheduler(scheduler);
    engineArguments.check(check);
  }

  /** Nobody waits for a text that cannot be written. */
  private static void flush(PrintWriter out) throws CliException {
    if (out.checkError()) {
      throw new CliException(Weir.OUTPUT_FAILED);
    }
  }

  private EngineOptions options() {
    return engineArguments
        .builder(model)
        .scheduler(scheduler)
        .schedulerOptions(schedulerOptions)
        .maxTopLogProbabilities(logProbabilities == null ? 0 : logProbabilities)
        .build();
  }

  private List<String> texts() throws CliException {
    if (prompt.file == null) {
      return prompt.texts;
    }
    try {
      byte[] content =
          prompt.file.equals("-")
              ? System.in.readAllBytes()
              : Files.readAllBytes(Path.of(prompt.file));
      return List.of(
          StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(content)).toString());
    } catch (CharacterCodingException e) {
      throw new CliException("the prompt in " + prompt.file + " is not UTF-8", e);
    } catch (IOException e) {
      throw new CliException("cannot read the prompt: " + e, e);
    }
  }

  private GenerationRequest parameters(
      Engine engine, GenerationRequest.Builder request, String text) {
    request
        .temperature(temperature)
        .topK(topK)
        .topP(topP)
        .repetitionPenalty(repetitionPenalty)
        .ignoreEos(ignoreEos)
        .stop(stop)
        .topLogProbabilities(logProbabilities == null ? 0 : logProbabilities);
    if (seed != null) {
      request.seed(seed);
    }
    if (maxTokens != null) {
      return request.maxTokens(maxTokens).build();
    }
    int promptTokens = text == null ? prompt.ids.length : engine.tokenizer().encode(text).length;
    int room = engine.model().contextLength() - promptTokens;
    // Without room the engine refuses the request, and says why.
    return request.maxTokens(Math.max(1, Math.min(DEFAULT_MAX_TOKENS, room))).build();
  }

  private void print(PrintWriter out, Generation generation, String echo) throws CliException {
    out.print(echo);
    flush(out);
    for (GeneratedToken token : generation) {
      out.print(token.text());
      flush(out);
    }
    out.println();
    if (stats) {
      Timings timings = Timings.of(generation.await());
      spec.commandLine()
          .getErr()
          .printf(
              Locale.ROOT,
              "%d tokens, %.1f tokens/s, first token after %.1f ms%n",
              generation.await().ids().length,
              timings.outputTokensPerSecond(),
              timings.timeToFirstTokenMs());
    }
  }

  /** What {@code --json} prints. */
  record Answer(
      String prompt,
      int[] promptIds,
      int[] ids,
      String text,
      String finishReason,
      List<Token> logprobs,
      Timings timings,
      int evictions,
      long recomputedTokens) {
    static Answer of(String prompt, GenerationResult result, boolean logProbabilities) {
      return new Answer(
          prompt,
          result.promptIds(),
          result.ids(),
          result.text(),
          result.finishReason().name().toLowerCase(Locale.ROOT),
          logProbabilities ? result.tokens().stream().map(Token::of).toList() : null,
          Timings.of(result),
          result.evictions(),
          result.recomputedTokens());
    }
  }

  record Token(int id, float logprob, List<TopToken> top) {
    static Token of(GeneratedToken token) {
      return new Token(
          token.id(), token.logProbability(), token.top().stream().map(TopToken::of).toList());
    }
  }

  record TopToken(int id, float logprob) {
    static TopToken of(TokenLogProbability token) {
      return new TopToken(token.id(), token.logProbability());
    }
  }

  record Timings(
      double queueMs,
      double timeToFirstTokenMs,
      double timePerOutputTokenMs,
      double endToEndMs,
      double outputTokensPerSecond) {
    static Timings of(GenerationResult result) {
      double seconds = result.timings().endToEnd().toNanos() / 1e9;
      return new Timings(
          result.timings().queueTime().toNanos() / 1e6,
          result.timings().timeToFirstToken().toNanos() / 1e6,
          result.timings().timePerOutputToken().toNanos() / 1e6,
          seconds * 1e3,
          result.ids().length / seconds);
    }
  }
}
