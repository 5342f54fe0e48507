package dev.weir.cli;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Workload;
import dev.weir.simulation.Arrival;
import dev.weir.simulation.BatchPredictions;
import dev.weir.simulation.IterationTime;
import dev.weir.simulation.IterationTimes;
import dev.weir.simulation.Simulation;
import dev.weir.simulation.SimulationCsv;
import dev.weir.simulation.SimulationListener;
import dev.weir.simulation.SimulationListeners;
import dev.weir.simulation.SimulationOptions;
import dev.weir.simulation.SimulationResult;
import dev.weir.simulation.SimulationSemantics;
import dev.weir.simulation.StalledException;
import dev.weir.simulation.TraceException;
import dev.weir.simulation.metrics.Metrics;
import dev.weir.simulation.metrics.SimulationMetrics;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code weir simulate}: serves a workload in virtual time. */
@Command(
    name = "simulate",
    mixinStandardHelpOptions = true,
    versionProvider = VersionProvider.class,
    sortOptions = false,
    abbreviateSynopsis = true,
    header = "Serves a workload in virtual time, without a model or a device.",
    description = {
      "",
      "Runs one or several schedulers over a trace or a synthetic load, with a model of how long an"
          + " iteration takes, and prints what a benchmark would have measured. The same arguments"
          + " give the same output. Several schedulers run in parallel.",
      ""
    },
    footer = {
      "",
      "Examples:",
      "  weir simulate --requests 5000 --arrivals poisson:10 --prompt-tokens lognormal:300,1 \\",
      "      --output-tokens exponential:200 --scheduler fcfs,sarathi,nested-wait",
      "  weir simulate --trace T.csv --scheduler vllm-v0 --semantics vidur --blocks 7424 \\",
      "      --batch-cap 128 --requests-out R.csv --iterations-out I.csv",
      "  weir simulate --batches B.csv --out O.csv"
    })
final class SimulateCommand implements Callable<Integer> {
  private static final int NAMED_REQUESTS = 5;
  private static final List<String> VIDUR_SCHEDULERS =
      List.of("vllm-v0", "sarathi", "orca", "static");

  @Spec private CommandSpec spec;

  @Mixin private WorkloadArguments workload;

  @Option(
      names = "--scheduler",
      split = ",",
      paramLabel = "NAME,...",
      hideParamSyntax = true,
      defaultValue = "fcfs,nested-wait",
      description =
          "Schedulers to compare, separated by commas; see 'weir info' (default:"
              + " ${DEFAULT-VALUE}).")
  private List<String> schedulers;

  @Option(
      names = "--scheduler-option",
      paramLabel = "NAME=VALUE",
      description =
          "Setting of the scheduler; can be given several times. With several schedulers,"
              + " NAME.SETTING=VALUE sets something for one of them.")
  private Map<String, String> schedulerOptions = new LinkedHashMap<>();

  @Option(
      names = "--semantics",
      paramLabel = "WHOSE",
      defaultValue = "weir",
      description =
          "weir, or vidur to do exactly what Microsoft's simulator does, defects included, with"
              + " vllm-v0, sarathi, orca and static (default: ${DEFAULT-VALUE}).")
  private SimulationSemantics semantics;

  @Option(
      names = "--iteration-time",
      paramLabel = "MODEL",
      defaultValue = "profile",
      description =
          "How long an iteration takes: " + IterationTimes.SYNTAX + " (default: ${DEFAULT-VALUE}).")
  private String iterationTime;

  @Option(
      names = "--blocks",
      paramLabel = "N",
      defaultValue = "7424",
      description = "Blocks of the KV pool (default: ${DEFAULT-VALUE}).")
  private long blocks;

  @Option(
      names = "--block-size",
      paramLabel = "N",
      defaultValue = "16",
      description = "Tokens a block (default: ${DEFAULT-VALUE}).")
  private int blockSize;

  @Option(
      names = "--swap-blocks",
      paramLabel = "N",
      defaultValue = "0",
      description = "Blocks of host memory for swapped requests (default: ${DEFAULT-VALUE}).")
  private long swapBlocks;

  @Option(
      names = "--preemption",
      paramLabel = "HOW",
      defaultValue = "recompute",
      description =
          "What happens to the KV blocks of an evicted request: recompute or swap, which takes no"
              + " time here (default: ${DEFAULT-VALUE}).")
  private Preemption preemption;

  @Option(
      names = {"--batch-cap", "--max-sequences"},
      paramLabel = "N",
      defaultValue = "256",
      description = "Sequences in one iteration (default: ${DEFAULT-VALUE}).")
  private int batchCap;

  @Option(
      names = "--max-batch-tokens",
      paramLabel = "N",
      description =
          "Tokens in one iteration (default: 2048; with --semantics vidur there is no such limit).")
  private Integer maxBatchTokens;

  @Option(
      names = "--chunk",
      paramLabel = "N",
      description = "Tokens up to which sarathi fills an iteration with prefill (default: 512).")
  private Integer chunk;

  @Option(
      names = "--max-output-tokens",
      paramLabel = "N",
      description =
          "The longest output that every client declares; longer requests are refused (default:"
              + " each declares what it gets).")
  private Integer maxOutputTokens;

  @Option(
      names = "--requests-out",
      paramLabel = "FILE",
      description = "Write a CSV row for each request; needs a single scheduler.")
  private Path requestsOut;

  @Option(
      names = "--iterations-out",
      paramLabel = "FILE",
      description = "Write a CSV row for each iteration; needs a single scheduler.")
  private Path iterationsOut;

  @Option(
      names = "--batches",
      paramLabel = "FILE",
      description =
          "Simulate nothing, but predict the time of each batch of a CSV file, whose column 'batch'"
              + " has groups such as D3x512 (decoding, context) and P2x100@64 (prefill, cached).")
  private Path batches;

  @Option(
      names = "--out",
      paramLabel = "FILE",
      description = "Where --batches writes the same rows with a column 'predicted_ms'.")
  private Path out;

  @Option(names = "--json", description = "Print one JSON object instead of the table.")
  private boolean json;

  @Override
  public Integer call() throws CliException {
    checkArguments();
    try {
      IterationTime time = iterationTime();
      if (batches != null) {
        long count = BatchPredictions.write(batches, out, time);
        spec.commandLine().getOut().println(count + " batches: " + out);
        return 0;
      }
      simulate(time);
      return 0;
    } catch (TraceException | StalledException e) {
      throw new CliException(e.getMessage(), e);
    } catch (UncheckedIOException | IOException e) {
      throw new CliException(e.getMessage() == null ? e.toString() : e.getMessage(), e);
    }
  }

  private void checkArguments() {
    OptionCheck check = new OptionCheck(spec.commandLine());
    if ((batches == null) != (out == null)) {
      throw check.refused("--batches and --out go together");
    }
    schedulers.forEach(check::scheduler);
    if (Set.copyOf(schedulers).size() < schedulers.size()) {
      throw check.refused("--scheduler names one twice: " + schedulers);
    }
    for (String scheduler : schedulers) {
      if (semantics == SimulationSemantics.VIDUR && !VIDUR_SCHEDULERS.contains(scheduler)) {
        throw check.refused(
            "--semantics vidur is for " + VIDUR_SCHEDULERS + ", not for '" + scheduler + "'");
      }
    }
    for (String name : schedulerOptions.keySet()) {
      int dot = name.indexOf('.');
      if (dot >= 0 && !schedulers.contains(name.substring(0, dot))) {
        throw check.refused(
            "--scheduler-option "
                + name
                + ": '"
                + name.substring(0, dot)
                + "' is none of the schedulers to compare, "
                + schedulers);
      }
    }
    if (schedulers.size() > 1 && (requestsOut != null || iterationsOut != null)) {
      throw check.refused(
          "--requests-out and --iterations-out need one scheduler, not " + schedulers);
    }
    check.atLeast("--blocks", blocks, 1);
    check.atLeast("--block-size", blockSize, 1);
    check.atLeast("--swap-blocks", swapBlocks, 0);
    check.atLeast("--batch-cap", batchCap, 1);
    if (preemption == Preemption.SWAP && swapBlocks == 0) {
      throw check.refused("--preemption swap needs swap space: --swap-blocks is 0");
    }
    if (maxBatchTokens != null) {
      check.atLeast("--max-batch-tokens", maxBatchTokens, 1);
    }
    if (chunk != null) {
      check.atLeast("--chunk", chunk, 1);
    }
    if (maxOutputTokens != null) {
      check.atLeast("--max-output-tokens", maxOutputTokens, 1);
    }
    workload.check(check);
  }

  private IterationTime iterationTime() throws IOException {
    try {
      return IterationTimes.parse(iterationTime);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), "--iteration-time: " + e.getMessage(), e);
    }
  }

  private void simulate(IterationTime time) throws IOException, TraceException, CliException {
    PrintWriter err = spec.commandLine().getErr();
    KvCapacity memory = new KvCapacity(blocks, blockSize, swapBlocks);
    WorkloadFacts facts = workload.survey(err);
    IterationCost cost = cost(time, facts, memory);
    Workload planned =
        Comparison.workload(
            facts.rate(),
            LengthHistogram.of(facts.promptTokens()),
            LengthHistogram.of(facts.outputTokens()),
            cost,
            memory);
    List<SimulatedRun> runs =
        schedulers.parallelStream()
            .map(name -> simulate(name, time, config(name, memory, cost, planned)))
            .toList();
    for (SimulatedRun run : runs) {
      err.printf(
          Locale.ROOT,
          "%s: %,d iterations in %.2f s, %,.0f a second%n",
          run.scheduler(),
          run.metrics().iterations(),
          run.wallSeconds(),
          run.metrics().iterations() / run.wallSeconds());
      run.refused().forEach(line -> err.println(run.scheduler() + ": refused " + line));
    }
    SimulationSummary summary =
        new SimulationSummary(
            facts, workload.seed(), iterationTime, cost, memory, semantics, batchCap, runs);
    PrintWriter writer = spec.commandLine().getOut();
    writer.println(json ? Json.line(summary.json()) : summary.text());
  }

  /** Planned with a full pool of average requests in the middle of their output. */
  private IterationCost cost(IterationTime time, WorkloadFacts facts, KvCapacity memory) {
    double context =
        LengthHistogram.of(facts.promptTokens()).mean()
            + LengthHistogram.of(facts.outputTokens()).mean() / 2;
    int requests =
        (int) Math.clamp(Math.floor(memory.tokens() / context), 2, Math.max(2, batchCap));
    return IterationTimes.linearise(time, requests, (int) Math.max(1, context));
  }

  private SchedulerConfig config(
      String scheduler, KvCapacity memory, IterationCost cost, Workload planned) {
    Map<String, String> settings = new LinkedHashMap<>();
    boolean vidur = semantics == SimulationSemantics.VIDUR;
    if (vidur) {
      settings.put("semantics", "vidur");
    }
    if (chunk != null && scheduler.equals("sarathi")) {
      settings.put("chunk", chunk.toString());
    }
    schedulerOptions.forEach(
        (name, value) -> {
          int dot = name.indexOf('.');
          if (dot < 0) {
            settings.put(name, value);
          } else if (name.substring(0, dot).equals(scheduler)) {
            settings.put(name.substring(dot + 1), value);
          }
        });
    int tokens = maxBatchTokens != null ? maxBatchTokens : vidur ? Integer.MAX_VALUE : 2048;
    return new SchedulerConfig(
        memory,
        new BatchLimits(batchCap, tokens),
        preemption,
        cost,
        Optional.of(planned),
        SchedulerOptions.of(settings));
  }

  private SimulatedRun simulate(String scheduler, IterationTime time, SchedulerConfig config) {
    SimulationOptions options =
        new SimulationOptions(
            scheduler,
            config,
            time,
            semantics,
            maxOutputTokens == null ? OptionalInt.empty() : OptionalInt.of(maxOutputTokens));
    SimulationMetrics figures = new SimulationMetrics();
    RefusedRequests refused = new RefusedRequests();
    long start = System.nanoTime();
    SimulationResult result;
    try (SimulationCsv csv = new SimulationCsv(requestsOut, iterationsOut);
        ClosableArrivals arrivals = workload.arrivals()) {
      SimulationListener listener =
          requestsOut == null && iterationsOut == null
              ? SimulationListeners.both(figures, refused)
              : SimulationListeners.both(figures, SimulationListeners.both(refused, csv));
      result = Simulation.run(options, arrivals, listener);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    double wallSeconds = (System.nanoTime() - start) / 1e9;
    Metrics metrics = figures.metrics(result, config.memory().blocks());
    return new SimulatedRun(
        scheduler, config.options().toString(), metrics, refused.lines, wallSeconds);
  }

  /** Names the first few. */
  private static final class RefusedRequests implements SimulationListener {
    private final List<String> lines = new ArrayList<>();

    @Override
    public void refused(long index, Arrival arrival, String reason) {
      if (lines.size() < NAMED_REQUESTS) {
        lines.add("request " + index + ": " + reason);
      }
    }
  }
}
