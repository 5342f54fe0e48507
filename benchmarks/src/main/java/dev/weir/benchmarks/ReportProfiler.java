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
import org.openjdk.jmh.results.BenchmarkResult;
import org.openjdk.jmh.results.Result;

/**
 * A profiler that runs each fork under a program of NVIDIA's, which leaves a report in a file. Its
 * options stand behind a colon, separated by semicolons.
 */
abstract sealed class ReportProfiler implements ExternalProfiler permits NsysProfiler, NcuProfiler {
  /** So much of what the program said is shown where something is missing. */
  private static final int SHOWN_LINES = 6;

  private final OptionParser parser = new OptionParser();
  private OptionSet options;
  private ProfilerTool tool;
  private Path folder;
  private Path report;

  /** An option with a value; read it by {@link #value} after {@link #parse}. */
  final OptionSpec<String> text(String name, String meaning, String value, String preset) {
    var option = parser.accepts(name, meaning).withRequiredArg().describedAs(value);
    return preset == null ? option : option.defaultsTo(preset);
  }

  final OptionSpec<Integer> number(String name, String meaning, Integer preset) {
    var option =
        parser.accepts(name, meaning).withRequiredArg().ofType(Integer.class).describedAs("n");
    return preset == null ? option : option.defaultsTo(preset);
  }

  /**
   * Reads the options and finds the program.
   *
   * @param name of the program, of the option that names it, and of the folder of the reports
   * @throws ProfilerException if an option is wrong or the program is missing
   */
  final void parse(String name, String line, Map<String, String> environment)
      throws ProfilerException {
    OptionSpec<String> program =
        text(
            name,
            "The program. Default: " + ProfilerTool.variable(name) + ", else on the PATH.",
            "file",
            null);
    OptionSpec<String> dir = text("dir", "Folder for the reports.", "folder", "target/" + name);
    OptionSpec<Void> help = parser.accepts("help", "This list.").forHelp();
    try {
      options =
          parser.parse(
              Stream.of(line.split(";"))
                  .map(String::strip)
                  .filter(option -> !option.isEmpty())
                  .map(option -> "--" + option)
                  .toArray(String[]::new));
    } catch (OptionException e) {
      throw new ProfilerException(e.getMessage() + "; the options:\n" + list());
    }
    if (options.has(help)) {
      throw new ProfilerException("the options:\n" + list());
    }
    tool = ProfilerTool.find(name, value(program), environment);
    folder = Path.of(value(dir)).toAbsolutePath();
  }

  private String list() {
    StringWriter text = new StringWriter();
    try {
      parser.printHelpOn(text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return text.toString();
  }

  final boolean has(OptionSpec<?> option) {
    return options.has(option);
  }

  final <T> T value(OptionSpec<T> option) throws ProfilerException {
    try {
      return options.valueOf(option);
    } catch (OptionException e) {
      throw new ProfilerException(e.getMessage());
    }
  }

  final int atLeast(int minimum, OptionSpec<Integer> option) throws ProfilerException {
    int value = value(option);
    if (value < minimum) {
      throw new ProfilerException(
          option.options().getFirst() + " is " + value + ", must be at least " + minimum);
    }
    return value;
  }

  final String oneOf(OptionSpec<String> option, String... values) throws ProfilerException {
    String value = value(option);
    if (!List.of(values).contains(value)) {
      throw new ProfilerException(
          option.options().getFirst()
              + " is "
              + value
              + ", must be one of "
              + String.join(", ", values));
    }
    return value;
  }

  final ProfilerTool tool() {
    return tool;
  }

  /** The report of the last {@link #command}, without the ending. */
  final Path report() {
    return report;
  }

  /** The endings of files that a run may leave; a name is new if none of them is there. */
  abstract List<String> endings();

  /** What the program is called with before the name of the report and the fork's command. */
  abstract List<String> arguments();

  /** The option of the program that names the report, such as {@code --output=}. */
  abstract String reportOption();

  /** Whether the fork marks its NVTX ranges. */
  abstract boolean ranges();

  /** What the report of the last {@link #command} says. */
  abstract List<Result<?>> results(File stdOut, File stdErr);

  /**
   * The command that the fork's own is appended to. Its report gets a name that no earlier one has.
   *
   * @param run names the benchmark and its parameters
   */
  final List<String> command(String run) {
    try {
      Files.createDirectories(folder);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot make the folder of the reports", e);
    }
    report = ProfilerTool.unused(folder, ProfilerTool.fileName(run), endings());
    List<String> command = new ArrayList<>(List.of(tool.executable().toString()));
    command.addAll(arguments());
    command.add(reportOption() + report);
    return command;
  }

  @Override
  public final Collection<String> addJVMInvokeOptions(BenchmarkParams params) {
    return command(params.id());
  }

  @Override
  public final Collection<String> addJVMOptions(BenchmarkParams params) {
    return ranges() ? List.of("-D" + BenchmarkModel.RANGES + "=true") : List.of();
  }

  @Override
  public final void beforeTrial(BenchmarkParams params) {
    // The fork's command is all there is to prepare.
  }

  @Override
  public final Collection<? extends Result> afterTrial(
      BenchmarkResult result, long pid, File stdOut, File stdErr) {
    return results(stdOut, stdErr);
  }

  @Override
  public final boolean allowPrintOut() {
    return true;
  }

  @Override
  public final boolean allowPrintErr() {
    return true;
  }

  /** The end of what a fork and the program wrote. */
  static String lastLines(File stdOut, File stdErr) {
    return lastLines(stdErr) + lastLines(stdOut);
  }

  private static String lastLines(File file) {
    try {
      return lastLines(ProfilerTool.end(file.toPath()), "");
    } catch (IOException e) {
      return "  (" + e.getMessage() + ")\n";
    }
  }

  /** The last lines that have {@code containing} in them. */
  static String lastLines(String text, String containing) {
    List<String> lines =
        text.lines().filter(line -> !line.isBlank() && line.contains(containing)).toList();
    StringBuilder end = new StringBuilder();
    lines
        .subList(Math.max(0, lines.size() - SHOWN_LINES), lines.size())
        .forEach(line -> end.append("  ").append(line.strip()).append('\n'));
    return end.toString();
  }
}
