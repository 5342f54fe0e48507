package dev.weir.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;

/**
 * The {@code weir} command. Exit codes: 0 success, 1 failure, 2 wrong usage. Results go to standard
 * output, progress and errors to standard error.
 */
@Command(
    name = "weir",
    mixinStandardHelpOptions = true,
    versionProvider = VersionProvider.class,
    synopsisSubcommandLabel = "COMMAND",
    description =
        "Serves Llama-family models from a paged KV cache, under a scheduler of your choice.",
    subcommands = {GenerateCommand.class, BenchCommand.class, InfoCommand.class, DemoCommand.class},
    footer = {
      "",
      "Examples:",
      "  weir generate --model models/stories260K \"Once upon a time\"",
      "  weir bench --model models/stories260K --scheduler fcfs,nested-wait --html bench.html",
      "  weir info --model models/stories260K",
      "",
      "'weir COMMAND --help' explains a command."
    })
public final class Weir implements Runnable {
  private static final int HELP_WIDTH = 100;

  @CommandLine.Spec private CommandLine.Model.CommandSpec spec;

  @Option(
      names = "--verbose",
      scope = ScopeType.INHERIT,
      description = "Print the stack trace of a failure.")
  private boolean verbose;

  private Weir() {}

  /** Runs the command and ends the JVM with its exit code. */
  public static void main(String[] args) {
    System.setProperty("java.awt.headless", "true");
    // Generated text is UTF-8, whatever the locale of the terminal.
    PrintWriter out =
        new PrintWriter(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
    PrintWriter err =
        new PrintWriter(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8);
    int status = run(out, err, args);
    out.flush();
    err.flush();
    System.exit(status);
  }

  /**
   * Runs the command in this JVM.
   *
   * @return the exit code
   */
  static int run(PrintWriter out, PrintWriter err, String... args) {
    Weir weir = new Weir();
    CommandLine command =
        new CommandLine(weir)
            .setOut(out)
            .setErr(err)
            .setCaseInsensitiveEnumValuesAllowed(true)
            .setUsageHelpWidth(HELP_WIDTH)
            .setUsageHelpAutoWidth(true)
            .setParameterExceptionHandler(Weir::wrongUsage)
            .setExecutionExceptionHandler(
                (failure, failed, parsed) -> weir.failure(failure, failed));
    return command.execute(args);
  }

  /** Without a command there is nothing to do but to say so. */
  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "no command given");
  }

  private static int wrongUsage(ParameterException e, String[] args) {
    return wrongUsage(e.getCommandLine(), e);
  }

  private static int wrongUsage(CommandLine command, Exception e) {
    PrintWriter err = command.getErr();
    String name = command.getCommandSpec().qualifiedName();
    err.println(name + ": " + e.getMessage());
    if (e instanceof ParameterException unmatched) {
      CommandLine.UnmatchedArgumentException.printSuggestions(unmatched, err);
    }
    err.println("Try '" + name + " --help'.");
    return CommandLine.ExitCode.USAGE;
  }

  private int failure(Exception e, CommandLine command) {
    if (verbose) {
      e.printStackTrace(command.getErr());
    }
    if (e instanceof IllegalArgumentException) {
      // The value of an option that only the engine, the scheduler or the device can judge.
      return wrongUsage(command, e);
    }
    if (!verbose) {
      String message = e.getMessage() == null ? e.toString() : e.getMessage();
      command.getErr().println(command.getCommandSpec().qualifiedName() + ": " + message);
    }
    return CommandLine.ExitCode.SOFTWARE;
  }
}
