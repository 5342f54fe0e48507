package dev.weir.cli;

import dev.weir.cli.report.HtmlReport;
import dev.weir.cli.report.Report;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Writes a page to a file. */
final class HtmlFile {
  private HtmlFile() {}

  static void write(Path file, Report report) throws CliException {
    write(file, HtmlReport.render(report));
  }

  static void write(Path file, String page) throws CliException {
    try {
      Path folder = file.toAbsolutePath().getParent();
      if (folder != null) {
        Files.createDirectories(folder);
      }
      Files.writeString(file, page);
    } catch (IOException e) {
      throw new CliException("cannot write " + file + ": " + e, e);
    }
  }
}
