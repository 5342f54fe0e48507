package dev.weir.cli;

import dev.weir.cli.bench.Calibration;
import dev.weir.cli.bench.TimedRequest;
import dev.weir.cli.report.ReportedRun;
import dev.weir.engine.Engine;
import dev.weir.engine.EngineOptions;
import dev.weir.engine.GenerationRequest;
import dev.weir.engine.RejectionReason;
import dev.weir.runtime.DeviceInfo;
import dev.weir.runtime.Model;
import dev.weir.runtime.ModelInfo;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Workload;
import dev.weir.simulation.Arrival;
import dev.weir.simulation.ArrivalList;
import dev.weir.simulation.BadRow;
import dev.weir.simulation.LengthDistribution;
import dev.weir.simulation.Trace;
import dev.weir.simulation.TraceException;
import dev.weir.simulation.TraceReader;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code weir bench}: serves a workload and measures. */
@Command(
    name = "bench",
    mixinStandardHelpOptions = true,
    versionProvider = VersionProvider.class,
    sortOptions = false,
    abbreviateSynopsis = true,
    header = "Serves a workload with one or several schedulers, and measures.",
    description = {
      "",
      "Serves a workload from a trace or from distributions with one or several schedulers, each in"
          + " a fresh engine, and prints what it measured. Prompts are random tokens; every request"
          + " generates exactly as many tokens as the workload says. A short calibration run comes"
          + " first.",
      ""
    },
    footer = {
      "",
      "Examples:",
      "  weir bench --model models/stories260K --requests 200 --prompt-tokens uniform:8-64 \\",
      "      --output-tokens exponential:100 --rate 50 --scheduler fcfs,weir --kv-blocks" + " 256",
      "  weir bench --model models/stories260K --scheduler fcfs --kv-blocks 64 \\",
      "      --chrome-trace bench-trace.json",
      "  weir bench --model DIR --trace AzureLLMInferenceTrace_conv.csv --requests 500 --json"
    })
final class BenchCommand implements Callable<Integer> {
  private static final int CALIBRATION_REQUESTS = 32;
  private static final int CALIBRATION_TOKENS = 128;
  private static final int DEFAULT_REQUESTS = 100;
  private static final int NAMED_ROWS = 5;

  @Spec private CommandSpec spec;

  @Option(
      names = {"-m", "--model"},
      paramLabel = "DIR",
      required = true,
      description = "Folder with config.json and *.safetensors.")
  private Path model;

  @Mixin private SchedulerArguments schedulers;

  @Option(
      names = "--requests",
      paramLabel = "N",
      description = "Number of requests (default: 100, or the whole trace).")
  private Integer count;

  @Option(
      names = "--trace",
      paramLabel = "FILE",
      description =
          "A trace: CSV of Azure, Vidur or BurstGPT, JSON lines of Mooncake. Times count from the"
              + " first request.")
  private Path trace;

  @Option(
      names = "--prompt-tokens",
      paramLabel = "LENGTHS",
      description = "Prompt lengths: " + LengthDistribution.SYNTAX + " (default: uniform:8-64).")
  private String promptTokens;

  @Option(
      names = "--output-tokens",
      paramLabel = "LENGTHS",
      description = "Output lengths, in the same way (default: uniform:16-128).")
  private String outputTokens;

  @ArgGroup(exclusive = true)
  private Arrivals arrivals = new Arrivals();

  private static final class Arrivals {
    @Option(
        names = "--rate",
        paramLabel = "R",
        description =
            "Requests arrive as a Poisson process of R a second (default: as in the trace;"
                + " without a trace all at once).")
    private Double rate;

    @Option(names = "--at-once", description = "All requests arrive at once.")
    private boolean atOnce;
  }

  @Option(
      names = "--skip-overlong",
      description =
          "Leave out requests that do not fit the model's context or the KV pool. Without it they"
              + " are counted as refused.")
  private boolean skipOverlong;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      defaultValue = "1",
      description = "Seed of lengths, arrivals and prompts (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      defaultValue = "1",
      description =
          "Serve the workload N times with each scheduler, in turn, and report the run of median"
              + " duration (default: ${DEFAULT-VALUE}).")
  private int rounds;

  @Option(
      names = "--cost",
      split = ",",
      paramLabel = "D0,D1",
      hideParamSyntax = true,
      description =
          "Seconds of an iteration, and seconds for each token in it, for schedulers that"
              + " plan (default: measured by a short run before).")
  private double[] cost;

  @Mixin private EngineArguments engineArguments;

  @Option(names = "--json", description = "Print one JSON object instead of the table.")
  private boolean json;

  @Option(names = "--html", paramLabel = "FILE", description = "Write a page with charts.")
  private Path html;

  @Option(
      names = "--chrome-trace",
      paramLabel = "FILE",
      description = TimelineFile.DESCRIPTION + "; needs a single scheduler and a single round.")
  private Path chromeTrace;

  @Option(names = "--no-progress", description = "Show no progress.")
  private boolean noProgress;

  /**
   * Where the load comes from.
   *
   * @param arrivals every request
   * @param text when they arrive
   * @param badRows rows of the trace that are no requests
   */
  private record Source(ArrivalList arrivals, String text, List<BadRow> badRows) {}

  @Override
  public Integer call() throws CliException {
    checkArguments();
    SplittableRandom random = new SplittableRandom(seed);
    DeviceInfo device = engineArguments.describeDevice();
    ModelInfo shape = Model.inspect(model, engineArguments.weights().modelOptions());
    Source source = source(random);
    EngineOptions planned = options("fcfs").build();
    long longest = Math.min(shape.contextLength(), Engine.planMemory(planned).kvTokens());
    Calibration calibration = calibrate(fitting(source.arrivals(), longest), shape, random.split());
    IterationCost iterationCost =
        cost == null ? calibration.fit().cost() : new IterationCost(cost[0], cost[1]);
    KvCapacity memory =
        new KvCapacity(
            calibration.result().kvBlocks(),
            calibration.result().blockSize(),
            engineArguments.swapBlocks());
    long limit = Math.min(shape.contextLength(), memory.tokens());
    ArrivalList fitting = fitting(source.arrivals(), limit);
    int overlong = source.arrivals().arrivals().size() - fitting.arrivals().size();
    // Requests that the engine will refuse are no load, and nothing to plan for.
    Workload workload =
        Comparison.workload(
            fitting.rate(),
            LengthHistogram.of(fitting.promptTokens()),
            LengthHistogram.of(fitting.outputTokens()),
            iterationCost,
            memory);
    Comparison comparison =
        new Comparison(
            name -> options(name).kvBlocks(memory.blocks()),
            requests(source.arrivals(), shape, memory.tokens(), random.split()),
            workload,
            iterationCost,
            true,
            Optional.ofNullable(chromeTrace)
                .map(file -> new TimelineFile(file, spec.commandLine().getErr())));
    List<ReportedRun> runs =
        comparison.run(
            schedulers.names(),
            rounds,
            fitting.arrivals().stream().mapToLong(Arrival::outputTokens).sum(),
            !noProgress);

    BenchSummary summary =
        new BenchSummary(
            model,
            shape,
            device,
            source.arrivals(),
            source.text(),
            seed,
            rounds,
            source.badRows(),
            overlong,
            skipOverlong,
            memory,
            workload,
            iterationCost,
            cost == null ? calibration.fit() : null,
            engineArguments.preemption(),
            engineArguments.limits(),
            runs);
    PrintWriter out = spec.commandLine().getOut();
    out.println(json ? Json.line(summary.json()) : summary.text());
    if (chromeTrace != null && !json) {
      out.println("time line: " + chromeTrace);
    }
    if (html != null) {
      HtmlFile.write(html, summary.report());
      if (!json) {
        out.println("page: " + html);
      }
    }
    return 0;
  }

  private void checkArguments() throws CliException {
    OptionCheck check = new OptionCheck(spec.commandLine());
    if (trace != null && (promptTokens != null || outputTokens != null)) {
      throw check.refused("--prompt-tokens and --output-tokens do not go together with --trace");
    }
    if (count != null) {
      check.atLeast("--requests", count, 1);
    }
    check.atLeast("--rounds", rounds, 1);
    if (arrivals.rate != null) {
      check.positive("--rate", arrivals.rate);
    }
    schedulers.check(check);
    if (chromeTrace != null && (schedulers.names().size() > 1 || rounds > 1)) {
      throw check.refused(
          "--chrome-trace needs one scheduler and one round, not "
              + schedulers.names()
              + " and "
              + rounds);
    }
    if (chromeTrace != null) {
      OutputFile.check(chromeTrace);
    }
    engineArguments.check(check);
    if (cost != null) {
      if (cost.length != 2) {
        throw check.refused("--cost has " + cost.length + " numbers, must be D0,D1");
      }
      check.positive("D0 of --cost", cost[0]);
      check.notNegative("D1 of --cost", cost[1]);
    }
  }

  private LengthDistribution lengths(String option, String text, String otherwise) {
    try {
      return LengthDistribution.parse(text == null ? otherwise : text);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), option + ": " + e.getMessage(), e);
    }
  }

  private Source source(RandomGenerator random) throws CliException {
    ArrivalList list;
    List<BadRow> badRows = List.of();
    boolean timed = false;
    if (trace == null) {
      list =
          ArrivalList.draw(
              count == null ? DEFAULT_REQUESTS : count,
              lengths("--prompt-tokens", promptTokens, "uniform:8-64"),
              lengths("--output-tokens", outputTokens, "uniform:16-128"),
              random);
    } else {
      try {
        Trace read = TraceReader.read(trace);
        list = count == null ? read.workload() : read.workload().limit(count);
        badRows = read.badRows();
        timed = read.timed();
      } catch (TraceException e) {
        throw new CliException(e.getMessage(), e);
      }
      warnOf(badRows);
    }
    if (arrivals.rate != null) {
      return new Source(
          list.poisson(arrivals.rate, random), "Poisson, " + arrivals.rate + " a second", badRows);
    }
    return timed && !arrivals.atOnce
        ? new Source(list, "as in the trace", badRows)
        : new Source(list.atOnce(), "all at once", badRows);
  }

  private void warnOf(List<BadRow> badRows) {
    PrintWriter err = spec.commandLine().getErr();
    for (BadRow row : badRows.subList(0, Math.min(NAMED_ROWS, badRows.size()))) {
      err.println(trace + ", line " + row.line() + " left out: " + row.reason());
    }
    if (badRows.size() > NAMED_ROWS) {
      err.println(trace + ": " + badRows.size() + " rows left out; --json names them all");
    }
  }

  private ArrivalList fitting(ArrivalList list, long limit) {
    if (list.arrivals().stream().noneMatch(a -> a.totalTokens() <= limit)) {
      Arrival first = list.arrivals().getFirst();
      throw new ParameterException(
          spec.commandLine(),
          "no request of the workload fits into "
              + limit
              + " tokens, the smaller of the model's context and the KV pool (--kv-blocks,"
              + " --kv-bytes); the first has "
              + first.promptTokens()
              + " + "
              + first.outputTokens());
    }
    return list.filter(a -> a.totalTokens() <= limit);
  }

  /**
   * Draws the prompts. That of a request does not depend on the lengths of the others.
   *
   * @param poolTokens what the KV pool holds
   */
  private List<TimedRequest> requests(
      ArrivalList list, ModelInfo shape, long poolTokens, SplittableRandom random) {
    int[] words =
        IntStream.range(0, shape.vocabularySize())
            .filter(id -> !shape.eosTokens().contains(id))
            .filter(id -> shape.bosToken().isEmpty() || shape.bosToken().getAsInt() != id)
            .toArray();
    List<TimedRequest> requests = new ArrayList<>();
    for (Arrival arrival : list.arrivals()) {
      SplittableRandom ids = random.split();
      long tokens = arrival.totalTokens();
      if (tokens > shape.contextLength() || tokens > poolTokens) {
        // The engine would refuse it; a prompt of any length would have to be made for that.
        if (!skipOverlong) {
          requests.add(
              TimedRequest.refused(
                  arrival.seconds(),
                  tokens > shape.contextLength()
                      ? RejectionReason.EXCEEDS_CONTEXT
                      : RejectionReason.EXCEEDS_KV_CAPACITY,
                  arrival.promptTokens(),
                  arrival.outputTokens()));
        }
        continue;
      }
      int[] prompt =
          ids.ints(arrival.promptTokens(), 0, words.length).map(index -> words[index]).toArray();
      requests.add(
          TimedRequest.of(
              arrival.seconds(),
              GenerationRequest.builder(prompt)
                  .maxTokens(arrival.outputTokens())
                  .knownOutputTokens(arrival.outputTokens())
                  .ignoreEos(true)
                  .build(),
              arrival.promptTokens(),
              arrival.outputTokens()));
    }
    return requests;
  }

  /**
   * A few requests of the workload. Their outputs are cut, to save time, to lengths that grow from
   * one to the next, so that the iterations have many sizes.
   */
  private Calibration calibrate(ArrivalList list, ModelInfo shape, SplittableRandom random)
      throws CliException {
    ArrivalList some = list.limit(CALIBRATION_REQUESTS);
    List<Arrival> shorter = new ArrayList<>();
    for (Arrival arrival : some.arrivals()) {
      int most = Math.ceilDiv(CALIBRATION_TOKENS * (shorter.size() + 1), some.arrivals().size());
      shorter.add(new Arrival(0, arrival.promptTokens(), Math.min(arrival.outputTokens(), most)));
    }
    ArrivalList cut = new ArrivalList(some.name(), shorter);
    EngineOptions options = options("fcfs").build();
    long tokens = cut.arrivals().stream().mapToLong(Arrival::outputTokens).sum();
    Engine engine = EngineStart.start(options, !noProgress);
    try (ProgressDisplay display =
        noProgress
            ? ProgressDisplay.none()
            : ProgressDisplay.start("calibration", tokens, "tokens")) {
      return Calibration.run(
          engine,
          options,
          requests(cut, shape, Long.MAX_VALUE, random),
          Comparison.progress(display));
    } catch (IllegalStateException e) {
      throw new CliException(e.getMessage(), e);
    }
  }

  private EngineOptions.Builder options(String scheduler) {
    return engineArguments
        .builder(model)
        .scheduler(scheduler)
        .schedulerOptions(schedulers.settings(scheduler))
        .queueCapacity(Integer.MAX_VALUE)
        .maxTopLogProbabilities(0);
  }
}
