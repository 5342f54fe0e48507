package dev.weir.cli;

import dev.weir.engine.RejectedRequestException;
import dev.weir.engine.RejectionReason;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;

/**
 * The {@code weir} command. Exit codes: 0 success, 1 failure (also where the results could not be
 * written), 2 wrong usage. Results go to standard output, progress and errors to standard error.
 */
@Command(
    name = "weir",
    mixinStandardHelpOptions = true,
    versionProvider = VersionProvider.class,
    synopsisSubcommandLabel = "COMMAND",
    description =
        "Serves Llama-family models from a paged KV cache, under a scheduler of your choice.",
    subcommands = {
      GenerateCommand.class,
      BenchCommand.class,
      SimulateCommand.class,
      PlanCommand.class,
      ExperimentCommand.class,
      ProfileCommand.class,
      InfoCommand.class,
      DemoCommand.class
    },
    footer = {
      "",
      "Examples:",
      "  weir generate --model models/stories260K \"Once upon a time\"",
      "  weir bench --model models/stories260K --scheduler fcfs,weir --html bench.html",
      "  weir simulate --requests 5000 --arrivals poisson:10 --scheduler fcfs,sarathi,weir",
      "  weir plan --device a100-80gb --rate 5",
      "  weir experiment stability --quick",
      "  weir profile --model models/stories260K --out cpu.json",
      "  weir info --model models/stories260K",
      "",
      "'weir COMMAND --help' explains a command."
    })
public final class Weir implements Runnable {
  /** Nobody reads on, or the disk is full; Java does not tell which. */
  static final String OUTPUT_FAILED = "cannot write to standard output";

  private static final int HELP_WIDTH = 100;
  private static final char REPLACEMENT_CHARACTER = '\uFFFD';

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
    err.flush();
    System.exit(status);
  }

  /**
   * Runs the command in this JVM.
   *
   * @return the exit code; not 0 if {@code out} could not be written
   */
  static int run(PrintWriter out, PrintWriter err, String... args) {
    Optional<String> mangled = mangledArgument(System.getProperty("sun.jnu.encoding"), args);
    if (mangled.isPresent()) {
      err.println("weir: " + mangled.get());
      return CommandLine.ExitCode.USAGE;
    }
    int status = execute(out, err, args);
    if (out.checkError() && status == CommandLine.ExitCode.OK) {
      err.println("weir: " + OUTPUT_FAILED);
      return CommandLine.ExitCode.SOFTWARE;
    }
    return status;
  }

  /**
   * An argument that the JVM could not decode: under a locale that is not UTF-8, what is outside of
   * its character set arrives as U+FFFD, and the text is lost.
   *
   * @param encoding how the JVM decodes arguments
   * @return what is wrong; empty if nothing is
   */
  static Optional<String> mangledArgument(String encoding, String... args) {
    if ("UTF-8".equalsIgnoreCase(encoding)) {
      return Optional.empty();
    }
    for (int i = 0; i < args.length; i++) {
      if (args[i].indexOf(REPLACEMENT_CHARACTER) >= 0) {
        return Optional.of(
            "argument "
                + (i + 1)
                + " has characters that the encoding of the locale, "
                + encoding
                + ", does not have; use a UTF-8 locale (LC_ALL=C.UTF-8), or --prompt-file for a"
                + " prompt");
      }
    }
    return Optional.empty();
  }

  private static int execute(PrintWriter out, PrintWriter err, String... args) {
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
    return wrongUsage(e.getCommandLine(), e, e.getMessage());
  }

  private static int wrongUsage(CommandLine command, Exception e, String message) {
    PrintWriter err = command.getErr();
    String name = command.getCommandSpec().qualifiedName();
    err.println(name + ": " + message);
    if (e instanceof ParameterException unmatched) {
      CommandLine.UnmatchedArgumentException.printSuggestions(unmatched, err);
    }
    err.println("Try '" + name + " --help'.");
    return CommandLine.ExitCode.USAGE;
  }

  private static boolean isWrongUsage(RejectionReason reason) {
    return switch (reason) {
      case EMPTY_PROMPT,
          EXCEEDS_CONTEXT,
          EXCEEDS_KV_CAPACITY,
          INVALID_TOKEN,
          INVALID_PARAMETER,
          MALFORMED_TEXT ->
          true;
      case QUEUE_FULL, NO_TOKENIZER, CLOSED, ENGINE_FAILED -> false;
    };
  }

  private int failure(Exception e, CommandLine command) {
    if (verbose) {
      e.printStackTrace(command.getErr());
    }
    String message =
        e.getMessage() == null ? e.toString() : OptionCheck.namingOptions(e.getMessage());
    if (e instanceof IllegalArgumentException
        || (e instanceof RejectedRequestException rejected && isWrongUsage(rejected.reason()))) {
      // The value of an option that only the engine, the scheduler or the device can judge.
      return wrongUsage(command, e, message);
    }
    if (!verbose) {
      command.getErr().println(command.getCommandSpec().qualifiedName() + ": " + message);
    }
    return CommandLine.ExitCode.SOFTWARE;
  }
}
