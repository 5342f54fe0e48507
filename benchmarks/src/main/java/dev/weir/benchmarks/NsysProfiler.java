package dev.weir.benchmarks;

import java.io.File;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import joptsimple.OptionException;
import joptsimple.OptionParser;
import joptsimple.OptionSet;
import joptsimple.OptionSpec;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.profile.ExternalProfiler;
import org.openjdk.jmh.profile.ProfilerException;
import org.openjdk.jmh.results.AggregationPolicy;
import org.openjdk.jmh.results.BenchmarkResult;
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
public final class NsysProfiler implements ExternalProfiler {
  /** The endings of a report, the newer first; the older is that of versions before 2021.4. */
  private static final List<String> REPORT_ENDINGS = List.of(".nsys-rep", ".qdrep");

  /** What nsys leaves if it collected events but could not make a report of them. */
  private static final String UNPROCESSED = ".qdstrm";

  /** So much of what nsys said is shown where a summary is missing. */
  private static final int SHOWN_LINES = 6;

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

  private final ProfilerTool nsys;
  private final Path folder;
  private final List<String> arguments = new ArrayList<>();
  private final int top;
  private Path report;

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
    OptionParser parser = new OptionParser();
    OptionSpec<String> program =
        parser
            .accepts("nsys", "The program. Default: the variable WEIR_NSYS, else nsys on the PATH.")
            .withRequiredArg()
            .describedAs("file");
    OptionSpec<String> dir =
        parser
            .accepts("dir", "Folder for the reports.")
            .withRequiredArg()
            .describedAs("folder")
            .defaultsTo("target/nsys");
    OptionSpec<String> trace =
        parser
            .accepts("trace", "What nsys collects.")
            .withRequiredArg()
            .describedAs("apis")
            .defaultsTo("cuda,nvtx,osrt");
    OptionSpec<String> graphs =
        parser
            .accepts(
                "graphs",
                "CUDA graphs: node sees their kernels, at a cost for each one; graph sees a graph"
                    + " as one piece of work.")
            .withRequiredArg()
            .describedAs("node|graph")
            .defaultsTo("node");
    OptionSpec<Integer> delay =
        parser
            .accepts("delay", "Seconds from the start of the fork until nsys begins to collect.")
            .withRequiredArg()
            .ofType(Integer.class)
            .describedAs("s");
    OptionSpec<Integer> duration =
        parser
            .accepts("duration", "Seconds that nsys collects; the fork runs on. Default: all.")
            .withRequiredArg()
            .ofType(Integer.class)
            .describedAs("s");
    OptionSpec<String> more =
        parser
            .accepts("args", "Further arguments of 'nsys profile', separated by spaces.")
            .withRequiredArg()
            .describedAs("arguments");
    OptionSpec<Integer> rows =
        parser
            .accepts("top", "Rows of a table that are printed.")
            .withRequiredArg()
            .ofType(Integer.class)
            .describedAs("n")
            .defaultsTo(15);
    OptionSet set = parse(parser, options);
    top = atLeast(1, "top", value(set, rows));
    String depth = value(set, graphs);
    if (!depth.equals("node") && !depth.equals("graph")) {
      throw new ProfilerException("graphs is " + depth + ", must be node or graph");
    }
    nsys = ProfilerTool.find("nsys", value(set, program), environment);
    folder = Path.of(value(set, dir)).toAbsolutePath();
    arguments.add("--trace=" + value(set, trace));
    // Sampling the processor says nothing of compiled Java code, and needs rights that containers
    // lack.
    arguments.add("--sample=none");
    arguments.add("--cpuctxsw=none");
    arguments.add("--cuda-graph-trace=" + depth);
    if (set.has(delay)) {
      arguments.add("--delay=" + atLeast(0, "delay", value(set, delay)));
    }
    if (set.has(duration)) {
      arguments.add("--duration=" + atLeast(1, "duration", value(set, duration)));
      // By default nsys ends the program when it has collected enough.
      arguments.add("--kill=none");
    }
    arguments.addAll(ProfilerTool.words(value(set, more)));
  }

  private static OptionSet parse(OptionParser parser, String options) throws ProfilerException {
    OptionSpec<Void> help = parser.accepts("help", "This list.").forHelp();
    OptionSet set;
    try {
      set =
          parser.parse(
              Stream.of(options.split(";"))
                  .map(String::strip)
                  .filter(option -> !option.isEmpty())
                  .map(option -> "--" + option)
                  .toArray(String[]::new));
    } catch (OptionException e) {
      throw new ProfilerException(e.getMessage() + "; the options:\n" + list(parser));
    }
    if (set.has(help)) {
      throw new ProfilerException("the options:\n" + list(parser));
    }
    return set;
  }

  private static <T> T value(OptionSet set, OptionSpec<T> option) throws ProfilerException {
    try {
      return set.valueOf(option);
    } catch (OptionException e) {
      throw new ProfilerException(e.getMessage());
    }
  }

  private static String list(OptionParser parser) {
    StringWriter text = new StringWriter();
    try {
      parser.printHelpOn(text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return text.toString();
  }

  private static int atLeast(int minimum, String option, int value) throws ProfilerException {
    if (value < minimum) {
      throw new ProfilerException(option + " is " + value + ", must be at least " + minimum);
    }
    return value;
  }

  @Override
  public String getDescription() {
    return "NVIDIA Nsight Systems: time of CUDA kernels and NVTX ranges";
  }

  @Override
  public Collection<String> addJVMInvokeOptions(BenchmarkParams params) {
    return command(params.id());
  }

  /**
   * The command that the fork's own is appended to. Its report gets a name that no earlier one has.
   *
   * @param run names the benchmark and its parameters
   */
  List<String> command(String run) {
    try {
      Files.createDirectories(folder);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot make the folder of the reports", e);
    }
    List<String> taken = new ArrayList<>(REPORT_ENDINGS);
    taken.add(UNPROCESSED);
    report = ProfilerTool.unused(folder, ProfilerTool.fileName(run), taken);
    List<String> command = new ArrayList<>(List.of(nsys.executable().toString(), "profile"));
    command.addAll(arguments);
    command.add("--output=" + report);
    return command;
  }

  @Override
  public Collection<String> addJVMOptions(BenchmarkParams params) {
    return List.of();
  }

  @Override
  public void beforeTrial(BenchmarkParams params) {
    // The fork's command is all there is to prepare.
  }

  @Override
  public Collection<? extends Result> afterTrial(
      BenchmarkResult result, long pid, File stdOut, File stdErr) {
    return results(stdOut, stdErr);
  }

  /** What nsys found in the run of the last {@link #command}. */
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
        .map(ending -> Path.of(report + ending))
        .filter(Files::isRegularFile)
        .findFirst()
        .orElse(null);
  }

  private String missing(File stdOut, File stdErr) {
    Path unprocessed = Path.of(report + UNPROCESSED);
    String reason =
        Files.exists(unprocessed)
            ? "nsys collected "
                + unprocessed
                + " but could not make a report of it: the importer of this installation failed or"
                + " is missing. A full installation of Nsight Systems of the same version opens it"
            : "nsys left no report " + report + REPORT_ENDINGS.getFirst();
    return reason + ". The end of what was written:\n" + lastLines(stdErr) + lastLines(stdOut);
  }

  private String summarise(Summary summary, Path file, List<Result<?>> results) {
    String heading = summary.title();
    String failure = "";
    for (String name : summary.reports()) {
      try {
        Path csv = Path.of(report + "_" + name + ".csv");
        // One of an earlier report of this name would be taken for this one's.
        Files.deleteIfExists(csv);
        ProfilerTool.Output output =
            nsys.run(
                List.of(
                    "stats",
                    "--report=" + name,
                    "--format=csv",
                    "--force-overwrite=true",
                    "--output=" + report,
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
          return heading + ": none. " + lastLines(output.text(), "SKIPPED");
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

  private static String lastLines(File file) {
    try {
      return lastLines(ProfilerTool.end(file.toPath()), "");
    } catch (IOException e) {
      return "  (" + e.getMessage() + ")\n";
    }
  }

  private static String lastLines(String text, String containing) {
    List<String> lines =
        text.lines().filter(line -> !line.isBlank() && line.contains(containing)).toList();
    StringBuilder end = new StringBuilder();
    lines
        .subList(Math.max(0, lines.size() - SHOWN_LINES), lines.size())
        .forEach(line -> end.append("  ").append(line.strip()).append('\n'));
    return end.toString();
  }

  @Override
  public boolean allowPrintOut() {
    return true;
  }

  @Override
  public boolean allowPrintErr() {
    return true;
  }
}
