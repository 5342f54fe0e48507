package dev.weir.benchmarks;

import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.profile.ProfilerException;
import org.openjdk.jmh.util.Utils;

/**
 * A program of NVIDIA's that measures another one, such as {@code nsys}.
 *
 * @param name what it is called
 * @param executable where it is
 */
record ProfilerTool(String name, Path executable) {
  private static final long TIMEOUT_MINUTES = 15;

  /** So much of what a program wrote is kept, from its end. */
  private static final int KEPT_BYTES = 64 << 10;

  /**
   * What a program returned.
   *
   * @param status its exit status
   * @param text the end of what it wrote to both outputs
   */
  record Output(int status, String text) {}

  /**
   * Finds a program: where the option says, else where the environment variable says, else on the
   * PATH.
   *
   * @param configured value of the profiler's option of the same name; null if it was not given
   * @throws ProfilerException if it is not there; the message names all three places
   */
  static ProfilerTool find(String name, String configured, Map<String, String> environment)
      throws ProfilerException {
    String variable = variable(name);
    if (configured != null) {
      return at(name, configured, "the option " + name + "=" + configured);
    }
    String set = environment.get(variable);
    if (set != null && !set.isEmpty()) {
      return at(name, set, variable + "=" + set);
    }
    String path = environment.getOrDefault("PATH", "");
    for (String folder : path.split(File.pathSeparator)) {
      Path candidate = Path.of(folder.isEmpty() ? "." : folder, name);
      if (isProgram(candidate)) {
        return new ProfilerTool(name, candidate.toAbsolutePath());
      }
    }
    throw new ProfilerException(
        name
            + " was not found on the PATH ("
            + path
            + "). Install NVIDIA's "
            + (name.equals("nsys") ? "Nsight Systems" : "Nsight Compute")
            + ", or name the program: -prof "
            + name
            + ":"
            + name
            + "=FILE or the environment variable "
            + variable
            + "=FILE");
  }

  /** The environment variable that names a program. */
  static String variable(String name) {
    return "WEIR_" + name.toUpperCase(Locale.ROOT);
  }

  private static ProfilerTool at(String name, String file, String setting)
      throws ProfilerException {
    Path path = Path.of(file);
    if (!isProgram(path)) {
      throw new ProfilerException(
          setting + " names no program: it is not there, or may not be executed");
    }
    return new ProfilerTool(name, path.toAbsolutePath());
  }

  private static boolean isProgram(Path file) {
    return Files.isRegularFile(file) && Files.isExecutable(file);
  }

  /**
   * Runs it to its end.
   *
   * @throws IOException if it cannot be started or takes more than 15 minutes
   */
  Output run(List<String> arguments) throws IOException {
    List<String> command = new ArrayList<>(List.of(executable.toString()));
    command.addAll(arguments);
    Path written = Files.createTempFile(name, ".out");
    try {
      Process process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(written.toFile())
              .start();
      try {
        process.getOutputStream().close();
        if (!process.waitFor(TIMEOUT_MINUTES, TimeUnit.MINUTES)) {
          throw new IOException(name + " did not end within " + TIMEOUT_MINUTES + " minutes");
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException("interrupted while " + name + " ran", e);
      } finally {
        process.destroyForcibly();
      }
      return new Output(process.exitValue(), end(written));
    } finally {
      Files.deleteIfExists(written);
    }
  }

  /** The end of a file, without what a terminal would obey. */
  static String end(Path file) throws IOException {
    try (RandomAccessFile in = new RandomAccessFile(file.toFile(), "r")) {
      byte[] bytes = new byte[(int) Math.min(KEPT_BYTES, in.length())];
      in.seek(in.length() - bytes.length);
      in.readFully(bytes);
      return printable(new String(bytes, StandardCharsets.UTF_8));
    }
  }

  /** A text without control characters other than line ends and tabs. */
  static String printable(String text) {
    StringBuilder clean = new StringBuilder(text.length());
    text.codePoints()
        .filter(c -> c == '\n' || c == '\t' || !isControl(c))
        .forEach(clean::appendCodePoint);
    return clean.toString();
  }

  private static boolean isControl(int c) {
    return switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.SURROGATE,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR ->
          true;
      default -> false;
    };
  }

  /** A name for the files of a run that no earlier run took: {@code stem}, else with a number. */
  static Path unused(Path folder, String stem, List<String> endings) {
    for (int i = 1; ; i++) {
      Path base = folder.resolve(i == 1 ? stem : stem + "-" + i);
      if (endings.stream().noneMatch(ending -> Files.exists(Path.of(base + ending)))) {
        return base;
      }
    }
  }

  /** A text as part of a file's name. */
  static String fileName(String text) {
    String name = text.replaceAll("[^A-Za-z0-9._-]+", "-").replaceAll("^[.-]+|-+$", "");
    return name.length() <= 150 ? name : name.substring(0, 150);
  }

  /** Splits further arguments at spaces; quotes keep an argument together. */
  static List<String> words(String line) {
    return line == null ? Collections.emptyList() : new ArrayList<>(Utils.splitQuotedEscape(line));
  }
}
