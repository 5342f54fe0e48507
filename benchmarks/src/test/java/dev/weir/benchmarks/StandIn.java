package dev.weir.benchmarks;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/**
 * A copy of one of the scripts of the test resources, {@code nsys} or {@code ncu}, and the files
 * that steer it.
 */
final class StandIn {
  private final Path folder;
  private final String name;

  StandIn(String name, Path parent) throws IOException {
    this.name = name;
    folder = Files.createDirectory(parent.resolve("nsight"));
    try (InputStream script = StandIn.class.getResourceAsStream(name)) {
      Files.copy(script, program());
    }
    if (!program().toFile().setExecutable(true)) {
      throw new IOException("cannot make " + program() + " executable");
    }
  }

  Path program() {
    return folder.resolve(name);
  }

  StandIn file(String name, String content) throws IOException {
    Files.writeString(folder.resolve(name), content);
    return this;
  }

  /** The arguments of each call so far. */
  List<List<String>> calls() throws IOException {
    return Arrays.stream(Files.readString(folder.resolve("calls")).split("\n\n"))
        .map(call -> call.lines().toList())
        .toList();
  }
}
