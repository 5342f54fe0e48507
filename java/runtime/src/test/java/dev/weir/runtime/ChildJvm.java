package dev.weir.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/** A fresh JVM for what happens only once in the life of one. */
public final class ChildJvm {
  private ChildJvm() {}

  /**
   * What a program printed, lines of a name, a space and a value.
   *
   * @param errors all of stderr
   */
  public record Outcome(List<String> output, String errors) {
    public String line(String name) {
      return output.stream()
          .filter(line -> line.startsWith(name + " "))
          .map(line -> line.substring(name.length() + 1))
          .findFirst()
          .orElseThrow(() -> new AssertionError(name + " is missing in " + this));
    }

    public List<String> lines(String name) {
      return output.stream().filter(line -> line.startsWith(name + " ")).toList();
    }
  }

  /**
   * Runs a program, which must end with 0.
   *
   * @param environment besides the environment of this JVM without what sets up Weir
   * @param folder for stderr
   */
  public static Outcome run(
      Class<?> program,
      List<String> options,
      Map<String, String> environment,
      List<String> classPath,
      Path folder)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("--enable-native-access=ALL-UNNAMED");
    command.addAll(options);
    command.add("-cp");
    command.add(String.join(File.pathSeparator, classPath));
    command.add(program.getName());
    Path errors = folder.resolve("stderr");
    ProcessBuilder builder = new ProcessBuilder(command).redirectError(errors.toFile());
    builder.environment().keySet().removeAll(List.of("WEIR_LIBRARY", "WEIR_HOME"));
    builder.environment().putAll(environment);
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    int status = process.waitFor();
    String complaints = Files.readString(errors);
    assertThat(status).as(output + complaints).isZero();
    return new Outcome(output.lines().toList(), complaints);
  }

  /** The entries of this JVM's class path that are wanted. */
  public static List<String> classPath(Predicate<String> wanted) {
    String own =
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    return Arrays.stream(own.split(File.pathSeparator))
        .filter(wanted)
        .collect(Collectors.toCollection(ArrayList::new));
  }

  /** Builds a shared library of that soname from C; skips the test where there is no compiler. */
  public static Path compile(String source, String name, Path folder)
      throws IOException, InterruptedException {
    Path file = Files.writeString(folder.resolve(name + ".c"), source);
    Path library = folder.resolve(name);
    List<String> command =
        List.of("cc", "-shared", "-fPIC", "-Wl,-soname," + name, "-o", library + "", file + "");
    Process compiler;
    try {
      compiler = new ProcessBuilder(command).inheritIO().start();
    } catch (IOException e) {
      assumeTrue(false, "there is no C compiler to build a stand-in for a library: " + e);
      throw e;
    }
    assertThat(compiler.waitFor()).isZero();
    return library;
  }
}
