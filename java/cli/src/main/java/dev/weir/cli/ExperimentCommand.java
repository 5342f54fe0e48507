package dev.weir.cli;

import dev.weir.cli.report.ExperimentCsv;
import dev.weir.cli.report.ExperimentPage;
import dev.weir.cli.report.ExperimentText;
import dev.weir.cli.report.Fact;
import dev.weir.cli.report.Format;
import dev.weir.simulation.StalledException;
import dev.weir.simulation.TraceException;
import dev.weir.simulation.experiment.Experiment;
import dev.weir.simulation.experiment.ExperimentContext;
import dev.weir.simulation.experiment.ExperimentData;
import dev.weir.simulation.experiment.ExperimentResult;
import dev.weir.simulation.experiment.Experiments;
import dev.weir.simulation.experiment.Goal;
import dev.weir.simulation.experiment.Progress;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicLong;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code weir experiment}: answers questions about schedulers by simulation. */
@Command(
    name = "experiment",
    mixinStandardHelpOptions = true,
    versionProvider = VersionProvider.class,
    sortOptions = false,
    abbreviateSynopsis = true,
    header = "Answers questions about schedulers by simulation.",
    description = {
      "",
      "Runs one, several or all experiments in virtual time; prints their tables and whether their"
          + " goals were met, and writes CSV files and one HTML report. Without a name it lists them."
          + " The same arguments give the same figures.",
      ""
    },
    footer = {
      "",
      "Examples:",
      "  weir experiment",
      "  weir experiment stability --quick",
      "  weir experiment all --out results"
    })
final class ExperimentCommand implements Callable<Integer> {
  private static final String ALL = "all";
  private static final Path LMSYS = Path.of("../shared/data/traces/lmsys_lengths_20k.csv");
  private static final int SEEDS = 5;
  private static final int QUICK_SEEDS = 2;
  private static final double QUICK_SCALE = 0.1;

  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "NAME", arity = "0..*", description = "Which ones; 'all' for all.")
  private List<String> names = List.of();

  @Option(
      names = "--seeds",
      paramLabel = "N",
      description =
          "Independent repetitions, from which confidence intervals follow (default: "
              + SEEDS
              + ").")
  private Integer seeds;

  @Option(
      names = "--scale",
      paramLabel = "X",
      description = "Length of the simulations, relative to the usual one (default: 1).")
  private Double scale;

  @Option(
      names = "--quick",
      description = "As --seeds " + QUICK_SEEDS + " --scale " + QUICK_SCALE + ".")
  private boolean quick;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "Simulations at a time (default: one for each processor).")
  private Integer threads;

  @Option(
      names = "--lmsys",
      paramLabel = "FILE",
      description =
          "Lengths of LMSYS-Chat-1M as a trace with num_prefill_tokens and num_decode_tokens"
              + " (default: ../shared/data/traces/lmsys_lengths_20k.csv if it is there, else a"
              + " stand-in with about the same moments).")
  private Path lmsys;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      defaultValue = "weir-experiments",
      description = "Folder for the CSV files and the report (default: ${DEFAULT-VALUE}).")
  private Path out;

  @Option(
      names = "--html",
      paramLabel = "FILE",
      description = "Where to write the report (default: report.html in the folder of --out).")
  private Path html;

  @Override
  public Integer call() throws CliException {
    PrintWriter writer = spec.commandLine().getOut();
    if (names.isEmpty()) {
      list(writer);
      return 0;
    }
    List<Experiment> experiments = experiments();
    int repetitions = seeds != null ? seeds : quick ? QUICK_SEEDS : SEEDS;
    double length = scale != null ? scale : quick ? QUICK_SCALE : 1;
    OptionCheck check = new OptionCheck(spec.commandLine());
    check.within("--seeds", repetitions, 1, 1000);
    check.positive("--scale", length);
    int workers = threads == null ? Runtime.getRuntime().availableProcessors() : threads;
    check.within("--threads", workers, 1, 1024);
    ExperimentData data = data();
    List<Fact> facts = facts(data, repetitions, length);
    Path page = html == null ? out.resolve("report.html") : html;
    List<ExperimentResult> results = new ArrayList<>();
    try {
      Files.createDirectories(out);
      OutputFile.check(page);
      for (Experiment experiment : experiments) {
        ExperimentResult result = run(experiment, data, repetitions, length, workers);
        results.add(result);
        writer.println(ExperimentText.render(result));
        writer.flush();
        ExperimentCsv.write(out, result);
      }
      ExperimentCsv.writeGoals(out.resolve("goals.csv"), results);
      HtmlFile.write(page, ExperimentPage.render(results, facts));
      if (results.size() > 1) {
        summary(writer, results);
      }
      writer.println("CSV files: " + out);
      writer.println("Report: " + page);
    } catch (StalledException e) {
      throw new CliException(e.getMessage(), e);
    } catch (IOException e) {
      throw new CliException("cannot write the results: " + e, e);
    }
    return 0;
  }

  private static void list(PrintWriter writer) {
    int width = Experiments.all().stream().mapToInt(each -> each.name().length()).max().orElse(0);
    for (Experiment experiment : Experiments.all()) {
      writer.printf(
          Locale.ROOT, "%-" + width + "s  %s%n", experiment.name(), experiment.description());
    }
  }

  private List<Experiment> experiments() {
    if (names.contains(ALL)) {
      if (names.size() > 1) {
        throw new OptionCheck(spec.commandLine()).refused("'all' stands alone, not in " + names);
      }
      return Experiments.all();
    }
    return names.stream().distinct().map(Experiments::named).toList();
  }

  private ExperimentData data() throws CliException {
    Path file = lmsys != null ? lmsys : Files.isRegularFile(LMSYS) ? LMSYS : null;
    if (file == null) {
      spec.commandLine()
          .getErr()
          .println(
              "LMSYS lengths are not there ("
                  + LMSYS
                  + "), so a stand-in is used; --lmsys names a file");
      return ExperimentData.shipped();
    }
    try {
      return ExperimentData.withLmsys(file);
    } catch (TraceException e) {
      throw new CliException(e.getMessage(), e);
    }
  }

  private List<Fact> facts(ExperimentData data, int repetitions, double length) {
    List<Fact> facts = new ArrayList<>();
    facts.add(new Fact("version", VersionProvider.version()));
    facts.add(new Fact("seeds", "1 to " + repetitions));
    facts.add(new Fact("scale", Double.toString(length)));
    facts.add(
        new Fact(
            data.lmsys().name(),
            Format.count(data.lmsys().size())
                + " rows"
                + (data.lmsysBadRows() == 0
                    ? ""
                    : ", " + Format.count(data.lmsysBadRows()) + " bad rows left out")));
    return facts;
  }

  private ExperimentResult run(
      Experiment experiment, ExperimentData data, int repetitions, double length, int workers) {
    try (ProgressDisplay display = ProgressDisplay.start(experiment.name(), 0, "simulations")) {
      AtomicLong planned = new AtomicLong();
      Progress progress =
          new Progress() {
            @Override
            public void planned(long simulations) {
              display.expect(planned.addAndGet(simulations));
            }

            @Override
            public void finished(long simulations) {
              display.add(simulations);
            }
          };
      return experiment.run(new ExperimentContext(repetitions, length, data, workers, progress));
    }
  }

  private static void summary(PrintWriter writer, List<ExperimentResult> results) {
    List<Goal> goals = results.stream().flatMap(result -> result.goals().stream()).toList();
    if (goals.isEmpty()) {
      return;
    }
    writer.println(
        "Summary: "
            + goals.stream().filter(Goal::met).count()
            + " of "
            + goals.size()
            + " goals met");
    writer.println(ExperimentText.goals(results));
  }
}
