package dev.weir.benchmarks;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import joptsimple.OptionSpec;
import org.openjdk.jmh.profile.ProfilerException;
import org.openjdk.jmh.results.AggregationPolicy;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.ScalarResult;
import org.openjdk.jmh.results.TextResult;

/**
 * Runs each fork of a benchmark under NVIDIA's Nsight Compute, which reads the hardware counters of
 * single launches of kernels, and prints for each kernel how long a launch took and what it reached
 * of the memory's and the multiprocessors' peaks: {@code -prof ncu} by {@link Main}, as {@link
 * NsysProfiler} otherwise. {@code -prof ncu:help} lists the options.
 *
 * <p>A launch that is profiled is run several times over, alone on the device: the benchmark's own
 * score means nothing. In single-shot mode the number of steps, and so of launches, is known
 * beforehand: {@code -bm ss -wi 20 -i 5 -prof "ncu:kernel=decode_kernel;skip=640"}.
 */
public final class NcuProfiler extends ReportProfiler {
  private static final String ENDING = ".ncu-rep";

  private final List<String> arguments = new ArrayList<>();
  private final boolean ranges;
  private final int top;

  /**
   * As JMH makes it.
   *
   * @param options what stands behind the colon of {@code -prof}
   * @throws ProfilerException if an option is wrong or ncu is missing
   */
  public NcuProfiler(String options) throws ProfilerException {
    this(options, System.getenv());
  }

  NcuProfiler(String options, Map<String, String> environment) throws ProfilerException {
    OptionSpec<String> kernel =
        text("kernel", "Only kernels in whose name this regular expression is found.", "re", null);
    OptionSpec<String> range =
        text(
            "range",
            "Only kernels within NVTX ranges that this filter of ncu names.",
            "filter",
            null);
    OptionSpec<Integer> skip = number("skip", "Launches that are passed over.", 0);
    OptionSpec<Integer> count = number("count", "Launches that are profiled then.", 20);
    OptionSpec<String> set =
        text("set", "Sections that are collected: basic, detailed, full, …", "name", "basic");
    OptionSpec<String> clocks =
        text(
            "clocks",
            "base has ncu fix the clocks of the device; none leaves them as they are.",
            "none|base",
            "none");
    OptionSpec<Integer> rows = number("top", "Kernels that are printed.", 15);
    OptionSpec<String> more =
        text("args", "Further arguments of ncu, separated by spaces.", "words", null);
    parse("ncu", options, environment);
    top = atLeast(1, rows);
    arguments.add("--target-processes=all");
    arguments.add("--set=" + value(set));
    arguments.add("--metrics=" + String.join(",", KernelCounters.METRICS));
    arguments.add("--clock-control=" + oneOf(clocks, "none", "base"));
    if (has(kernel)) {
      arguments.add("--kernel-name=regex:" + value(kernel));
    }
    ranges = has(range);
    if (ranges) {
      arguments.add("--nvtx");
      arguments.add("--nvtx-include=" + value(range));
    }
    arguments.add("--launch-skip=" + atLeast(0, skip));
    arguments.add("--launch-count=" + atLeast(1, count));
    arguments.addAll(ProfilerTool.words(value(more)));
  }

  @Override
  public String getDescription() {
    return "NVIDIA Nsight Compute: what single launches of CUDA kernels reach";
  }

  @Override
  List<String> endings() {
    return List.of(ENDING);
  }

  @Override
  List<String> arguments() {
    return arguments;
  }

  @Override
  String reportOption() {
    return "--export=";
  }

  @Override
  boolean ranges() {
    return ranges;
  }

  @Override
  List<Result<?>> results(File stdOut, File stdErr) {
    List<Result<?>> results = new ArrayList<>();
    Path file = Path.of(report() + ENDING);
    String text =
        Files.isRegularFile(file)
            ? kernels(file, results) + "Report: " + file + "\n"
            // ncu leaves none if no launch was profiled, or if it may not read the counters.
            : "ncu left no report "
                + file
                + ". The end of what was written:\n"
                + lastLines(stdOut, stdErr);
    results.add(new TextResult(text, "ncu"));
    return results;
  }

  private String kernels(Path file, List<Result<?>> results) {
    Path csv = Path.of(report() + ".csv");
    try {
      Files.deleteIfExists(csv);
      ProfilerTool.Output output =
          tool()
              .run(
                  List.of(
                      "--import=" + file,
                      "--page=raw",
                      "--csv",
                      "--print-units=base",
                      "--log-file=" + csv));
      if (!Files.isRegularFile(csv)) {
        return "ncu could not read its report: status "
            + output.status()
            + "\n"
            + lastLines(output.text(), "");
      }
      KernelCounters counters = KernelCounters.read(csv);
      if (counters.kernels().isEmpty()) {
        return "no kernel was profiled: " + csv + " has none that could be read\n";
      }
      counters.kernels().stream()
          .limit(top)
          .forEach(
              kernel ->
                  results.add(
                      new ScalarResult(
                          "ncu.kernel." + SummaryTable.baseName(kernel.name()),
                          kernel.meanNanoseconds() / 1e3,
                          "us",
                          AggregationPolicy.AVG)));
      return counters.text(top);
    } catch (IOException e) {
      return e.getMessage() + "\n";
    }
  }
}
