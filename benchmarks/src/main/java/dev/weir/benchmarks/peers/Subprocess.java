package dev.weir.benchmarks.peers;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Runs a program to its end. */
final class Subprocess {
  private static final long TIMEOUT_MINUTES = 30;

  /** So much of what a program that failed wrote is shown. */
  private static final int SHOWN_LINES = 15;

  private Subprocess() {}

  /**
   * Returns what the program wrote to its standard output. If this JVM ends first, the program is
   * stopped.
   *
   * @throws PeerException if it cannot be started, fails or takes too long; the message has the end
   *     of what it wrote
   */
  static String run(List<String> command) throws PeerException, InterruptedException {
    return run(new ProcessBuilder(command));
  }

  /** As {@link #run}, but returns what was written to standard error as well. */
  static String all(List<String> command) throws PeerException, InterruptedException {
    return run(new ProcessBuilder(command).redirectErrorStream(true));
  }

  private static String run(ProcessBuilder program) throws PeerException, InterruptedException {
    List<String> command = program.command();
    Path output = null;
    Path errors = null;
    try {
      output = Files.createTempFile("weir-peers", ".out");
      errors = Files.createTempFile("weir-peers", ".err");
      Process process =
          program.redirectOutput(output.toFile()).redirectError(errors.toFile()).start();
      Thread stop = new Thread(process::destroyForcibly);
      Runtime.getRuntime().addShutdownHook(stop);
      try {
        process.getOutputStream().close();
        if (!process.waitFor(TIMEOUT_MINUTES, TimeUnit.MINUTES)) {
          throw new PeerException(
              command.getFirst() + " did not end within " + TIMEOUT_MINUTES + " minutes");
        }
      } finally {
        process.destroyForcibly();
        Runtime.getRuntime().removeShutdownHook(stop);
      }
      if (process.exitValue() != 0) {
        throw new PeerException(
            String.join(" ", command)
                + " failed with status "
                + process.exitValue()
                + ":\n"
                + end(output)
                + end(errors));
      }
      return Files.readString(output);
    } catch (IOException e) {
      throw new PeerException(command.getFirst() + ": " + e.getMessage());
    } finally {
      delete(output);
      delete(errors);
    }
  }

  private static String end(Path file) throws IOException {
    List<String> lines =
        new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1).lines().toList();
    StringBuilder end = new StringBuilder();
    lines
        .subList(Math.max(0, lines.size() - SHOWN_LINES), lines.size())
        .forEach(line -> end.append("  ").append(line).append('\n'));
    return end.toString();
  }

  private static void delete(Path file) {
    if (file != null && !file.toFile().delete()) {
      file.toFile().deleteOnExit();
    }
  }
}
