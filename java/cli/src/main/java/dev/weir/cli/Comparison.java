package dev.weir.cli;

import dev.weir.cli.bench.LoadRun;
import dev.weir.cli.bench.RunMetrics;
import dev.weir.cli.bench.RunProgress;
import dev.weir.cli.bench.RunResult;
import dev.weir.cli.bench.TimedRequest;
import dev.weir.cli.report.ReportedRun;
import dev.weir.engine.Engine;
import dev.weir.engine.EngineOptions;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Workload;
import dev.weir.scheduling.fluid.FluidModel;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Function;

/**
 * Serves the same requests with one scheduler after another, each in an engine of its own.
 *
 * @param engine the engine for a scheduler, as far as it does not depend on the workload
 * @param requests what to serve, sorted by time
 * @param workload what the schedulers are told about the load
 * @param cost what they are told about the time of an iteration
 * @param exactLengths whether every request generates exactly as many tokens as it asks for
 * @param timeline where to record the time line of the engine, which is then to serve only once
 */
record Comparison(
    Function<String, EngineOptions.Builder> engine,
    List<TimedRequest> requests,
    Workload workload,
    IterationCost cost,
    boolean exactLengths,
    Optional<TimelineFile> timeline) {
  /** How often the numbers behind a progress bar change, in nanoseconds. */
  private static final long NOTE_INTERVAL = 250_000_000;

  private static final String BUFFER_GAUGE = "safety_buffer_blocks";

  /**
   * The workload to plan for.
   *
   * @param rate requests a second; infinite if all come at once: then the largest rate that the
   *     pool can sustain
   */
  static Workload workload(
      double rate,
      LengthHistogram prompt,
      LengthHistogram output,
      IterationCost cost,
      KvCapacity memory) {
    double planned =
        Double.isInfinite(rate)
            ? FluidModel.of(new Workload(1, prompt, output), cost, memory).sustainableRate()
            : rate;
    return new Workload(planned, prompt, output);
  }

  /**
   * Runs the schedulers in turn, several times, so that a disturbance of the machine does not hit
   * one of them alone.
   *
   * @param rounds how often, at least 1
   * @param expectedTokens output tokens of a run, for the progress
   * @return for each scheduler the run of median duration
   * @throws CliException if the time line cannot be written
   */
  List<ReportedRun> run(
      List<String> schedulers, int rounds, long expectedTokens, boolean showProgress)
      throws CliException {
    Map<String, List<RunResult>> results = new LinkedHashMap<>();
    for (int round = 1; round <= rounds; round++) {
      for (String scheduler : schedulers) {
        String task = rounds == 1 ? scheduler : scheduler + " " + round + "/" + rounds;
        EngineOptions options = options(scheduler);
        Engine engine = EngineStart.start(options, showProgress);
        try (ProgressDisplay display =
            showProgress
                ? ProgressDisplay.start(task, expectedTokens, "tokens")
                : ProgressDisplay.none()) {
          results
              .computeIfAbsent(scheduler, name -> new ArrayList<>())
              .add(
                  TimelineFile.record(
                      engine,
                      timeline,
                      () -> LoadRun.serve(engine, options, requests, progress(display))));
        }
      }
    }
    return results.values().stream().map(runs -> report(median(runs))).toList();
  }

  private EngineOptions options(String scheduler) {
    return engine.apply(scheduler).workload(workload).cost(cost).build();
  }

  private static RunResult median(List<RunResult> runs) {
    return runs.stream()
        .sorted(Comparator.comparingLong(RunResult::nanoseconds))
        .skip((runs.size() - 1) / 2)
        .findFirst()
        .orElseThrow();
  }

  private ReportedRun report(RunResult result) {
    KvCapacity memory = new KvCapacity(result.kvBlocks(), result.blockSize(), 0);
    FluidModel fluid = FluidModel.of(workload, cost, memory);
    double buffer = result.gauges().getOrDefault(BUFFER_GAUGE, 0.0);
    return new ReportedRun(
        result,
        RunMetrics.of(result, exactLengths),
        buffer > 0 ? OptionalDouble.of(buffer * result.blockSize()) : OptionalDouble.empty(),
        fluid.isStable() ? OptionalDouble.of(fluid.residentTokens()) : OptionalDouble.empty());
  }

  /** Shows new tokens and, now and then, the numbers of requests. */
  static RunProgress progress(ProgressDisplay display) {
    return new RunProgress() {
      private long noted = System.nanoTime() - NOTE_INTERVAL;

      @Override
      public void iteration(int generatedTokens, int running, int waiting) {
        display.add(generatedTokens);
        long now = System.nanoTime();
        if (now - noted >= NOTE_INTERVAL) {
          noted = now;
          display.note(running + " running, " + waiting + " waiting");
        }
      }
    };
  }
}
