package dev.weir.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Files that are written when much time has passed. */
final class OutputFile {
  private OutputFile() {}

  /**
   * Creates the folder.
   *
   * @throws CliException if the file could not be written: said at once, not when all is done
   */
  static void check(Path file) throws CliException {
    if (Files.isDirectory(file)) {
      throw new CliException("cannot write " + file + ": it is a folder");
    }
    Path folder = file.toAbsolutePath().getParent();
    try {
      Files.createDirectories(folder);
    } catch (IOException e) {
      throw new CliException("cannot write " + file + ": " + e, e);
    }
    if (!Files.isWritable(Files.exists(file) ? file : folder)) {
      throw new CliException("cannot write " + file + ": no permission");
    }
  }
}
