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
 * Runs each fork of a benchmark under NVIDIA's Nsight Systems and prints how long each kernel and
 * each NVTX range took: {@code -prof nsys} by {@link Main}, {@code -prof
 * dev.weir.benchmarks.NsysProfiler} by JMH's own main class, options behind a colon and separated
 * by semicolons: {@code -prof "nsys:delay=20;top=30"}. {@code -prof nsys:help} lists them.
 *
 * <p>The sums are those of the whole fork, its warm-up and preparation included, unless {@code
 * delay} and {@code duration} cut a part out of it; what does not depend on that is the mean of an
 * instance. The report stays in the folder {@code dir} for {@code nsys-ui}, with the summaries as
 * CSV beside it.
 */
public final class NsysProfiler extends ReportProfiler {
  /** The endings of a report, the newer first; the older is that of versions before 2021.4. */
  private static final List<String> REPORT_ENDINGS = List.of(".nsys-rep", ".qdrep");

  /** What nsys leaves if it collected events but could not make a report of them. */
  private static final String UNPROCESSED = ".qdstrm";

  /**
   * A summary that is asked for.
   *
   * @param title what it is
   * @param label of the secondary results: {@code nsys.LABEL.NAME}
   * @param reports the names that versions of nsys have for it, the newest first
   * @param nested whether a row may hold the time of others, so that their sum means nothing
   * @param required whether it is worth a line if nsys does not know it
   */
  private record Summary(
      String title, String label, List<String> reports, boolean nested, boolean required) {}

  private static final List<Summary> SUMMARIES =
      List.of(
          new Summary("Kernels", "kernel", List.of("cuda_gpu_kern_sum", "gpukernsum"), false, true),
          new Summary(
              "NVTX ranges, time on the host",
              "range",
              List.of("nvtx_sum", "nvtx_pushpop_sum", "nvtxsum", "nvtxppsum"),
              true,
              true),
          new Summary(
              "NVTX ranges, time of their work on the GPU",
              "gpu",
              List.of("nvtx_gpu_proj_sum"),
              true,
              false));

  private final List<String> arguments = new ArrayList<>(List.of("profile"));
  private final boolean ranges;
  private final int top;

  /**
   * As JMH makes it.
   *
   * @param options what stands behind the colon of {@code -prof}
   * @throws ProfilerException if an option is wrong or nsys is missing
   */
  public NsysProfiler(String options) throws ProfilerException {
    this(options, System.getenv());
  }

  NsysProfiler(String options, Map<String, String> environment) throws ProfilerException {
    OptionSpec<String> trace = text("trace", "What nsys collects.", "apis", "cuda,nvtx,osrt");
    OptionSpec<String> graphs =
        text(
            "graphs",
            "CUDA graphs: node sees their kernels, at a cost for each one; graph sees a graph as"
                + " one piece of work.",
            "node|graph",
            "node");
    OptionSpec<Integer> delay =
        number("delay", "Seconds from the start of the fork until nsys begins to collect.", null);
    OptionSpec<Integer> duration =
        number("duration", "Seconds that nsys collects; the fork runs on. Default: all.", null);
    OptionSpec<Integer> rows = number("top", "Rows of a table that are printed.", 15);
    OptionSpec<String> more =
        text("args", "Further arguments of 'nsys profile', separated by spaces.", "words", null);
    parse("nsys", options, environment);
    top = atLeast(1, rows);
    ranges = List.of(value(trace).split(",")).contains("nvtx");
    arguments.add("--trace=" + value(trace));
    // Sampling the processor says nothing of compiled Java code, and needs rights that containers
    // lack.
    arguments.add("--sample=none");
    arguments.add("--cpuctxsw=none");
    arguments.add("--cuda-graph-trace=" + oneOf(graphs, "node", "graph"));
    if (has(delay)) {
      arguments.add("--delay=" + atLeast(0, delay));
    }
    if (has(duration)) {
      arguments.add("--duration=" + atLeast(1, duration));
      // By default nsys ends the program when it has collected enough.
      arguments.add("--kill=none");
    }
    arguments.addAll(ProfilerTool.words(value(more)));
  }

  @Override
  public String getDescription() {
    return "NVIDIA Nsight Systems: time of CUDA kernels and NVTX ranges";
  }

  @Override
  List<String> endings() {
    return List.of(".nsys-rep", ".qdrep", UNPROCESSED);
  }

  @Override
  List<String> arguments() {
    return arguments;
  }

  @Override
  String reportOption() {
    return "--output=";
  }

  @Override
  boolean ranges() {
    return ranges;
  }

  @Override
  List<Result<?>> results(File stdOut, File stdErr) {
    List<Result<?>> results = new ArrayList<>();
    StringBuilder text = new StringBuilder();
    Path file = existing();
    if (file == null) {
      text.append(missing(stdOut, stdErr));
    } else {
      for (Summary summary : SUMMARIES) {
        text.append(summarise(summary, file, results));
      }
      text.append("Report: ").append(file).append("\n");
    }
    results.add(new TextResult(text.toString(), "nsys"));
    return results;
  }

  private Path existing() {
    return REPORT_ENDINGS.stream()
        .map(ending -> Path.of(report() + ending))
        .filter(Files::isRegularFile)
        .findFirst()
        .orElse(null);
  }

  private String missing(File stdOut, File stdErr) {
    Path unprocessed = Path.of(report() + UNPROCESSED);
    String reason =
        Files.exists(unprocessed)
            ? "nsys collected "
                + unprocessed
                + " but could not make a report of it: the importer of this installation failed or"
                + " is missing. A full installation of Nsight Systems of the same version opens it"
            : "nsys left no report " + report() + REPORT_ENDINGS.getFirst();
    return reason + ". The end of what was written:\n" + lastLines(stdOut, stdErr);
  }

  private String summarise(Summary summary, Path file, List<Result<?>> results) {
    String heading = summary.title();
    String failure = "";
    for (String name : summary.reports()) {
      try {
        Path csv = Path.of(report() + "_" + name + ".csv");
        // One of an earlier report of this name would be taken for this one's.
        Files.deleteIfExists(csv);
        ProfilerTool.Output output =
            tool()
                .run(
                    List.of(
                        "stats",
                        "--report=" + name,
                        "--format=csv",
                        "--force-overwrite=true",
                        "--output=" + report(),
                        file.toString()));
        if (Files.isRegularFile(csv)) {
          SummaryTable table = SummaryTable.read(csv);
          if (!table.rows().isEmpty()) {
            return heading
                + " ("
                + name
                + (summary.nested() ? ", shares are of the longest" : "")
                + "):\n"
                + add(summary, table, results);
          }
          return heading + ": the summary " + csv + " has no rows that could be read\n";
        }
        // Said where the report lacks what the summary is about, such as kernels.
        if (output.text().contains("SKIPPED")) {
          return heading + ": none. " + lastLines(output.text(), "SKIPPED").strip() + "\n";
        }
        if (failure.isEmpty()) {
          failure = "status " + output.status() + "\n" + lastLines(output.text(), "");
        }
      } catch (IOException e) {
        return heading + ": " + e.getMessage() + "\n";
      }
    }
    return summary.required()
        ? heading + ": 'nsys stats --report=" + summary.reports().getFirst() + "': " + failure
        : "";
  }

  /** Adds the secondary results and returns the table as text. */
  private String add(Summary summary, SummaryTable table, List<Result<?>> results) {
    String prefix = "nsys." + summary.label();
    if (!summary.nested()) {
      results.add(milliseconds(prefix, table.total()));
    }
    table
        .totals(summary.nested() ? NsysProfiler::withoutDomain : SummaryTable::baseName)
        .entrySet()
        .stream()
        .limit(top)
        .forEach(
            entry -> results.add(milliseconds(prefix + "." + entry.getKey(), entry.getValue())));
    return table.text(top, summary.nested() ? table.rows().getFirst().total() : table.total());
  }

  /** nsys writes a range of the unnamed domain as ":name". */
  private static String withoutDomain(String range) {
    return range.startsWith(":") ? range.substring(1) : range;
  }

  private static ScalarResult milliseconds(String label, double nanoseconds) {
    return new ScalarResult(label, nanoseconds / 1e6, "ms", AggregationPolicy.AVG);
  }
}
