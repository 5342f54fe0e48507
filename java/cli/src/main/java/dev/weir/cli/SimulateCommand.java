package dev.weir.cli;

import dev.weir.cli.report.SimulationChart;
import dev.weir.cli.report.StabilityChart;
import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Workload;
import dev.weir.simulation.Arrival;
import dev.weir.simulation.BatchPredictions;
import dev.weir.simulation.ChromeTrace;
import dev.weir.simulation.DecisionLog;
import dev.weir.simulation.IterationTime;
import dev.weir.simulation.IterationTimes;
import dev.weir.simulation.SimulatedRequest;
import dev.weir.simulation.Simulation;
import dev.weir.simulation.SimulationCsv;
import dev.weir.simulation.SimulationListener;
import dev.weir.simulation.SimulationListeners;
import dev.weir.simulation.SimulationOptions;
import dev.weir.simulation.SimulationResult;
import dev.weir.simulation.SimulationSemantics;
import dev.weir.simulation.StalledException;
import dev.weir.simulation.TraceException;
import dev.weir.simulation.capacity.StableRegion;
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
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
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
          + " give the same output. Several schedulers run in parallel. Swapping takes no time here.",
      ""
    },
    footer = {
      "",
      "Examples:",
      "  weir simulate --requests 5000 --arrivals poisson:10 --prompt-tokens lognormal:300,1 \\",
      "      --output-tokens exponential:200 --scheduler fcfs,sarathi,weir",
      "  weir simulate --trace T.csv --scheduler vllm-v0 --semantics vidur --blocks 7424 \\",
      "      --batch-cap 128 --requests-out R.csv --iterations-out I.csv",
      "  weir simulate --html simulation.html",
      "  weir simulate --batches B.csv --out O.csv"
    })
final class SimulateCommand implements Callable<Integer> {
  private static final int NAMED_REQUESTS = 5;
  private static final List<String> VIDUR_SCHEDULERS =
      List.of("vllm-v0", "sarathi", "orca", "static");

  @Spec private CommandSpec spec;

  @Mixin private WorkloadArguments workload;

  @Mixin private SchedulerArguments schedulers;

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

  @Mixin private BlockArguments block;
  @Mixin private PreemptionArguments preemption;
  @Mixin private BatchArguments batch;

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
      names = "--decision-log",
      paramLabel = "FILE",
      description =
          "Write a row for each decision: held and why, evicted, and, of schedulers that predict an"
              + " overflow probability, admitted. CSV, or JSON lines if the name ends in .jsonl; needs"
              + " a single scheduler.")
  private Path decisionLog;

  @Option(
      names = "--chrome-trace",
      paramLabel = "FILE",
      description =
          "Write iterations and requests as slices for Perfetto or chrome://tracing; needs a single"
              + " scheduler.")
  private Path chromeTrace;

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

  @Option(names = "--html", paramLabel = "FILE", description = "Write a page with charts.")
  private Path html;

  @Option(names = "--no-progress", description = "Show no progress.")
  private boolean noProgress;

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
    if (batches != null && (json || html != null)) {
      throw check.refused(
          "--batches simulates nothing: " + (json ? "--json" : "--html") + " is for simulations");
    }
    schedulers.check(check);
    for (String scheduler : schedulers.names()) {
      if (semantics == SimulationSemantics.VIDUR && !VIDUR_SCHEDULERS.contains(scheduler)) {
        throw check.refused(
            "--semantics vidur is for " + VIDUR_SCHEDULERS + ", not for '" + scheduler + "'");
      }
    }
    Map<String, Path> singles = new LinkedHashMap<>();
    singles.put("--requests-out", requestsOut);
    singles.put("--iterations-out", iterationsOut);
    singles.put("--decision-log", decisionLog);
    singles.put("--chrome-trace", chromeTrace);
    singles.values().removeIf(Objects::isNull);
    if (schedulers.names().size() > 1 && !singles.isEmpty()) {
      throw check.refused(
          String.join(", ", singles.keySet())
              + " need"
              + (singles.size() == 1 ? "s" : "")
              + " one scheduler, not "
              + schedulers.names());
    }
    checkFiles(check, singles);
    block.check(check);
    check.within("--blocks", blocks, 1, block.mostBlocks());
    preemption.check(check, block.swapBlocks());
    batch.check(check);
    if (chunk != null) {
      check.atLeast("--chunk", chunk, 1);
    }
    if (maxOutputTokens != null) {
      check.atLeast("--max-output-tokens", maxOutputTokens, 1);
    }
    workload.check(check);
  }

  /** Nobody wants a trace to be overwritten while it is read. */
  private void checkFiles(OptionCheck check, Map<String, Path> singles) {
    Map<String, Path> files = new LinkedHashMap<>(singles);
    workload.file().ifPresent(file -> files.put("--trace", file));
    files.put("--batches", batches);
    files.put("--out", out);
    files.put("--html", html);
    files.values().removeIf(Objects::isNull);
    Map<Path, String> options = new LinkedHashMap<>();
    files.forEach(
        (option, file) -> {
          String other = options.putIfAbsent(file.toAbsolutePath().normalize(), option);
          if (other != null) {
            throw check.refused(other + " and " + option + " are the same file, " + file);
          }
        });
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
    KvCapacity memory = new KvCapacity(blocks, block.size(), block.swapBlocks());
    WorkloadFacts facts = workload.survey(err);
    PlannedLoad load = PlannedLoad.of(facts, memory.tokens());
    if (load.promptTokens().length == 0) {
      load = PlannedLoad.of(facts, Long.MAX_VALUE);
    }
    StableRegion region = StableRegion.of(time, load.lengths(), memory, limits());
    Workload planned =
        load.workload(Double.isFinite(load.rate()) ? load.rate() : region.sustainableRate());
    OptionalDouble equilibrium = equilibrium(region, load.rate());
    List<SimulatedRun> runs;
    try (ProgressDisplay display =
        noProgress
            ? ProgressDisplay.none()
            : ProgressDisplay.startLater(
                "simulation", facts.requests() * schedulers.names().size(), "requests")) {
      runs =
          schedulers.names().parallelStream()
              .map(
                  name -> simulate(name, time, config(name, region, planned), equilibrium, display))
              .toList();
    } catch (IllegalArgumentException e) {
      // What fails in another thread comes as the cause of a copy, whose message names the class.
      throw e.getCause() instanceof IllegalArgumentException original ? original : e;
    }
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
        new SimulationSummary(facts, workload.seed(), iterationTime, region, semantics, runs);
    PrintWriter writer = spec.commandLine().getOut();
    writer.println(json ? Json.line(summary.json()) : summary.text());
    if (html != null) {
      HtmlFile.write(html, summary.report(stability(time, region, load.rate(), runs)));
    }
    if (!json) {
      if (html != null) {
        writer.println("page: " + html);
      } else if (workload.bundled()) {
        writer.println("'weir simulate --html FILE' draws all of this over time.");
      }
    }
  }

  /** KV tokens in use in the fluid equilibrium, if there is one. */
  private static OptionalDouble equilibrium(StableRegion region, double rate) {
    return Double.isFinite(rate) && region.at(rate).isStable()
        ? OptionalDouble.of(region.at(rate).residentTokens())
        : OptionalDouble.empty();
  }

  private static StabilityChart stability(
      IterationTime time, StableRegion region, double rate, List<SimulatedRun> runs) {
    double output = region.lengths().output();
    List<StabilityChart.Load> loads = new ArrayList<>();
    if (Double.isFinite(rate)) {
      loads.add(new StabilityChart.Load("arrivals", output, rate, false));
    }
    for (SimulatedRun run : runs) {
      double tokens = run.metrics().windowOutputTokensPerSecond();
      loads.add(
          new StabilityChart.Load(
              run.scheduler(),
              output,
              Double.isNaN(tokens) ? run.metrics().requestsPerSecond() : tokens / output,
              true));
    }
    return StabilityCurve.of(time, region.lengths(), region.memory(), region.limits(), loads);
  }

  private BatchLimits limits() {
    return semantics == SimulationSemantics.VIDUR
        ? batch.limits(Integer.MAX_VALUE)
        : batch.limits();
  }

  private SchedulerConfig config(String scheduler, StableRegion region, Workload planned) {
    Map<String, String> settings = new LinkedHashMap<>();
    if (semantics == SimulationSemantics.VIDUR) {
      settings.put("semantics", "vidur");
    }
    if (chunk != null && scheduler.equals("sarathi")) {
      settings.put("chunk", chunk.toString());
    }
    settings.putAll(schedulers.settings(scheduler));
    return new SchedulerConfig(
        region.memory(),
        region.limits(),
        preemption.preemption(),
        region.cost(),
        Optional.of(planned),
        SchedulerOptions.of(settings));
  }

  private SimulatedRun simulate(
      String scheduler,
      IterationTime time,
      SchedulerConfig config,
      OptionalDouble equilibrium,
      ProgressDisplay display) {
    SimulationOptions options =
        new SimulationOptions(
            scheduler,
            config,
            time,
            semantics,
            maxOutputTokens == null ? OptionalInt.empty() : OptionalInt.of(maxOutputTokens));
    SimulationMetrics figures = new SimulationMetrics();
    RefusedRequests refused = new RefusedRequests();
    SimulationChart chart = html == null ? null : new SimulationChart(config.memory());
    List<SimulationListener> listeners = new ArrayList<>();
    listeners.add(figures);
    listeners.add(refused);
    RequestsDone done = new RequestsDone(display);
    listeners.add(done);
    if (chart != null) {
      listeners.add(chart);
    }
    long start = System.nanoTime();
    SimulationResult result;
    try (SimulationCsv csv = new SimulationCsv(requestsOut, iterationsOut);
        DecisionLog log = decisionLog == null ? null : new DecisionLog(decisionLog);
        ChromeTrace trace =
            chromeTrace == null ? null : new ChromeTrace(chromeTrace, block.size());
        ClosableArrivals arrivals = workload.arrivals()) {
      if (requestsOut != null || iterationsOut != null) {
        listeners.add(csv);
      }
      if (log != null) {
        listeners.add(log);
      }
      if (trace != null) {
        listeners.add(trace);
      }
      result = Simulation.run(options, arrivals, SimulationListeners.all(listeners));
      done.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    double wallSeconds = (System.nanoTime() - start) / 1e9;
    Metrics metrics = figures.metrics(result, config.memory().blocks());
    String settings = config.options().toString();
    return new SimulatedRun(
        scheduler,
        settings,
        metrics,
        refused.lines,
        wallSeconds,
        Optional.ofNullable(chart)
            .map(
                c ->
                    c.chart(
                        settings.equals("{}") ? scheduler : scheduler + " " + settings,
                        metrics,
                        equilibrium)));
  }

  /** Reports requests that need nothing any more, a few at a time. */
  private static final class RequestsDone implements SimulationListener {
    private static final int AT_A_TIME = 64;

    private final ProgressDisplay display;
    private int done;

    RequestsDone(ProgressDisplay display) {
      this.display = display;
    }

    @Override
    public void refused(long index, Arrival arrival, String reason) {
      done();
    }

    @Override
    public void completed(SimulatedRequest request) {
      done();
    }

    private void done() {
      if (++done == AT_A_TIME) {
        flush();
      }
    }

    void flush() {
      display.add(done);
      done = 0;
    }
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
