package dev.weir.cli;

import dev.weir.cli.report.HtmlReport;
import dev.weir.cli.report.Report;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Writes a report to a file. */
final class HtmlFile {
  private HtmlFile() {}

  static void write(Path file, Report report) throws CliException {
    try {
      Path folder = file.toAbsolutePath().getParent();
      Files.createDirectories(folder);
      Files.writeString(file, HtmlReport.render(report));
    } catch (IOException e) {
      throw new CliException("cannot write " + file + ": " + e, e);
    }
  }
}
