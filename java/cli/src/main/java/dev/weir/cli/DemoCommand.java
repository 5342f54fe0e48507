package dev.weir.cli;

import dev.weir.cli.bench.Calibration;
import dev.weir.cli.bench.RequestOutcome;
import dev.weir.cli.bench.RunResult;
import dev.weir.cli.bench.TimedRequest;
import dev.weir.cli.report.Fact;
import dev.weir.cli.report.Format;
import dev.weir.cli.report.MetricsTable;
import dev.weir.cli.report.Report;
import dev.weir.cli.report.ReportedRun;
import dev.weir.cli.report.Story;
import dev.weir.engine.Engine;
import dev.weir.engine.EngineOptions;
import dev.weir.engine.GenerationRequest;
import dev.weir.engine.tokenizer.Tokenizer;
import dev.weir.engine.tokenizer.Tokenizers;
import dev.weir.runtime.Device;
import dev.weir.runtime.DeviceInfo;
import dev.weir.runtime.Model;
import dev.weir.runtime.ModelOptions;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Workload;
import dev.weir.scheduling.fluid.FluidModel;
import dev.weir.simulation.Arrival;
import dev.weir.simulation.ArrivalList;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code weir demo}: the same 64 stories under FCFS and under the scheduler weir. */
@Command(
    name = "demo",
    mixinStandardHelpOptions = true,
    versionProvider = VersionProvider.class,
    sortOptions = false,
    abbreviateSynopsis = true,
    header = "Tells the same 64 stories under FCFS and under the scheduler weir.",
    description = {
      "",
      "Tells 64 stories with the bundled model, from a KV pool too small for them: first under"
          + " FCFS, then under weir. Prints some of the stories and a table, and writes a"
          + " page that shows the KV cache over time for both.",
      ""
    })
final class DemoCommand implements Callable<Integer> {
  private static final List<String> SCHEDULERS = List.of("fcfs", "weir");
  private static final int BLOCK_SIZE = 16;
  private static final long SEED = 20_261_120;
  private static final int STORIES_PRINTED = 3;
  private static final int STORIES_ON_PAGE = 8;

  @Spec private CommandSpec spec;

  @Option(
      names = {"-m", "--model"},
      paramLabel = "DIR",
      defaultValue = "models/stories260K",
      description = "Folder of the model (default: ${DEFAULT-VALUE}).")
  private Path model;

  @Mixin private DeviceArguments deviceArguments;

  @Option(
      names = "--kv-blocks",
      paramLabel = "N",
      defaultValue = "160",
      description = "Size of the KV pool in blocks of 16 tokens (default: ${DEFAULT-VALUE}).")
  private long kvBlocks;

  @Option(
      names = "--load",
      paramLabel = "X",
      defaultValue = "1.2",
      description =
          "Arrival rate, as a multiple of what the pool can sustain (default:"
              + " ${DEFAULT-VALUE}).")
  private double load;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      defaultValue = "0.8",
      description = "Temperature of the sampling (default: ${DEFAULT-VALUE}).")
  private float temperature;

  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      defaultValue = "400",
      description = "The most tokens of a story (default: ${DEFAULT-VALUE}).")
  private int maxTokens;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      defaultValue = "3",
      description =
          "Run each scheduler N times, in turn, and show the run of median duration (default:"
              + " ${DEFAULT-VALUE}).")
  private int rounds;

  @Option(
      names = "--html",
      paramLabel = "FILE",
      defaultValue = "target/weir-demo.html",
      description = "Where to write the page (default: ${DEFAULT-VALUE}).")
  private Path html;

  @Option(names = "--no-progress", description = "Show no progress.")
  private boolean noProgress;

  @Override
  public Integer call() throws CliException {
    OptionCheck check = new OptionCheck(spec.commandLine());
    deviceArguments.check(check);
    check.within("--kv-blocks", kvBlocks, 1, Long.MAX_VALUE / BLOCK_SIZE);
    check.positive("--load", load);
    check.notNegative("--temperature", temperature);
    check.atLeast("--max-tokens", maxTokens, 1);
    check.atLeast("--rounds", rounds, 1);
    if (!Files.isDirectory(model)) {
      throw new CliException(
          "the model folder " + model + " is not here; run in the root of Weir, or give --model");
    }
    PrintWriter out = spec.commandLine().getOut();
    List<String> prompts = prompts();
    checkLengths(check, prompts);
    DeviceInfo device;
    try (Device opened = Device.open(deviceArguments.options())) {
      device = opened.info();
    }

    Calibration calibration = calibrate(prompts);
    List<RequestOutcome> stories = calibration.result().outcomes();
    long unfinished = stories.stream().filter(story -> !story.finished()).count();
    if (unfinished > 0) {
      throw new CliException(
          unfinished + " of " + stories.size() + " stories of the calibration did not finish");
    }
    long tokens = stories.stream().mapToLong(RequestOutcome::outputTokens).sum();
    IterationCost cost = calibration.fit().cost();
    KvCapacity memory = new KvCapacity(kvBlocks, BLOCK_SIZE, 0);
    LengthHistogram promptTokens =
        LengthHistogram.of(stories.stream().mapToInt(RequestOutcome::promptTokens).toArray());
    LengthHistogram outputTokens =
        LengthHistogram.of(stories.stream().mapToInt(RequestOutcome::outputTokens).toArray());
    double sustainable =
        FluidModel.of(new Workload(1, promptTokens, outputTokens), cost, memory).sustainableRate();
    Workload workload = new Workload(load * sustainable, promptTokens, outputTokens);

    ArrivalList arrivals =
        new ArrivalList(
                "stories",
                stories.stream()
                    .map(o -> new Arrival(0, o.promptTokens(), o.outputTokens()))
                    .toList())
            .poisson(workload.arrivalRate(), new SplittableRandom(SEED));
    List<TimedRequest> requests = new ArrayList<>();
    for (int i = 0; i < prompts.size(); i++) {
      requests.add(request(arrivals.arrivals().get(i).seconds(), prompts.get(i), i));
    }
    Comparison comparison =
        new Comparison(
            name -> options(name).kvBlocks(kvBlocks),
            requests,
            workload,
            cost,
            false,
            Optional.empty());
    List<ReportedRun> runs = comparison.run(SCHEDULERS, rounds, tokens, !noProgress);

    int same = sameStories(runs);
    printStories(out, prompts, runs.getLast().result());
    out.println(MetricsTable.render(SCHEDULERS, runs.stream().map(ReportedRun::metrics).toList()));
    String sameText =
        same
            + " of "
            + prompts.size()
            + " stories are the same, token for token, under both schedulers";
    out.println(sameText);
    List<Fact> stability =
        StabilityText.of(runs.stream().map(ReportedRun::result), workload.arrivalRate());
    stability.forEach(fact -> out.println("the " + fact.label() + " " + fact.value()));
    List<Fact> facts =
        new ArrayList<>(facts(device, memory, arrivals, workload, sustainable, calibration));
    facts.addAll(stability);
    HtmlFile.write(
        html,
        Report.of(
            "FCFS and weir tell the same " + prompts.size() + " stories",
            "A Llama model with 260,000 parameters continues "
                + prompts.size()
                + " story openings. Nobody knows beforehand how long a story will be. The KV pool"
                + " holds "
                + Format.count(memory.tokens())
                + " tokens, too few for all of them at once, and requests arrive at "
                + load
                + " times the rate that it can sustain. FCFS admits whatever fits at the moment,"
                + " and evicts when the stories grow; weir learns how long stories get, and admits"
                + " one only if the growth that it expects of all of them fits.",
            facts,
            runs,
            storiesOf(prompts, runs.getLast().result(), STORIES_ON_PAGE),
            "Sampled at temperature " + temperature + "; " + sameText + "."));
    out.println("page: " + html.toAbsolutePath().normalize().toUri());
    return 0;
  }

  /** No story may be refused: the schedulers are to tell the same ones. */
  private void checkLengths(OptionCheck check, List<String> prompts) {
    int context = Model.inspect(model, ModelOptions.defaults()).contextLength();
    long pool = kvBlocks * BLOCK_SIZE;
    int longest;
    try (Tokenizer tokenizer = Tokenizers.load(model)) {
      longest =
          prompts.stream().mapToInt(text -> tokenizer.encode(text).length).max().orElseThrow();
    }
    long needed = longest + (long) maxTokens;
    if (needed > Math.min(context, pool)) {
      throw check.refused(
          "the longest opening has "
              + longest
              + " tokens, with --max-tokens "
              + maxTokens
              + " that is "
              + needed
              + "; "
              + (needed > context
                  ? "the model's context has room for " + context
                  : "the KV pool holds " + pool + " (--kv-blocks)"));
    }
  }

  private static List<String> prompts() {
    try (InputStream in = DemoCommand.class.getResourceAsStream("demo-prompts.txt");
        BufferedReader reader =
            new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8))) {
      return reader.lines().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** All stories at once: how long they get, and how long an iteration takes. */
  private Calibration calibrate(List<String> prompts) {
    List<TimedRequest> requests = new ArrayList<>();
    for (int i = 0; i < prompts.size(); i++) {
      requests.add(request(0, prompts.get(i), i));
    }
    EngineOptions options = options("fcfs").kvBlocks(kvBlocks).build();
    Engine engine = EngineStart.start(options, !noProgress);
    try (ProgressDisplay display =
        noProgress
            ? ProgressDisplay.none()
            : ProgressDisplay.start(
                "calibration", (long) maxTokens * prompts.size() / 2, "tokens")) {
      return Calibration.run(engine, options, requests, Comparison.progress(display));
    }
  }

  private TimedRequest request(double seconds, String prompt, int index) {
    return TimedRequest.of(
        seconds,
        GenerationRequest.builder(prompt)
            .maxTokens(maxTokens)
            .temperature(temperature)
            .seed(SEED + index)
            .build(),
        0,
        maxTokens);
  }

  private EngineOptions.Builder options(String scheduler) {
    EngineOptions.Builder builder =
        EngineOptions.builder(model).blockSize(BLOCK_SIZE).scheduler(scheduler);
    deviceArguments.applyTo(builder);
    return builder;
  }

  private static int sameStories(List<ReportedRun> runs) {
    List<RequestOutcome> first = runs.getFirst().result().outcomes();
    List<RequestOutcome> last = runs.getLast().result().outcomes();
    int same = 0;
    for (int i = 0; i < first.size(); i++) {
      if (first.get(i).finished() && Arrays.equals(first.get(i).ids(), last.get(i).ids())) {
        same++;
      }
    }
    return same;
  }

  private static List<Story> storiesOf(List<String> prompts, RunResult run, int count) {
    List<Story> stories = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int index = i * prompts.size() / count;
      stories.add(new Story(prompts.get(index), run.outcomes().get(index).text()));
    }
    return stories;
  }

  private static void printStories(PrintWriter out, List<String> prompts, RunResult run) {
    for (Story story : storiesOf(prompts, run, STORIES_PRINTED)) {
      out.println();
      out.println("--- " + story.prompt());
      out.println(story.prompt() + story.text());
    }
    out.println();
  }

  private List<Fact> facts(
      DeviceInfo device,
      KvCapacity memory,
      ArrivalList arrivals,
      Workload workload,
      double sustainable,
      Calibration calibration) {
    return List.of(
        new Fact("model", model.toString()),
        new Fact("device", DeviceText.of(device)),
        new Fact(
            "KV pool",
            Format.count(memory.blocks())
                + " blocks of "
                + memory.blockSize()
                + " tokens, preemption by recompute"),
        new Fact(
            "arrivals",
            String.format(
                Locale.ROOT,
                "Poisson, %.1f requests/s, %.2f times the sustainable rate of %.1f",
                workload.arrivalRate(),
                load,
                sustainable)),
        new Fact(
            "lengths",
            String.format(
                Locale.ROOT,
                "prompt %.1f, story %.1f tokens on average, at most %d",
                workload.promptTokens().mean(),
                workload.outputTokens().mean(),
                workload.outputTokens().max())),
        new Fact("iteration cost", CostText.of(calibration.fit().cost(), calibration.fit())),
        new Fact("workload SHA-256", arrivals.sha256()),
        new Fact("seed", Long.toString(SEED)),
        new Fact("sampling", "temperature " + temperature),
        new Fact("rounds", rounds + ", of which the one of median duration is shown"),
        new Fact("version", VersionProvider.version()));
  }
}
