package dev.weir.benchmarks;

import de.siegmar.fastcsv.reader.CsvParseException;
import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.CsvRecord;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;

/** Reads the CSV files that profilers write, whatever is in them. */
final class ReportCsv {
  private static final long MAX_FILE_BYTES = 64L << 20;

  private ReportCsv() {}

  /**
   * Passes every line to {@code accept}. A quote that never ends ends the file.
   *
   * @param accept whether the line was one of the table
   * @return lines that were not
   * @throws IOException if the file cannot be read or is larger than 64 MiB
   */
  static int read(Path csv, Predicate<List<String>> accept) throws IOException {
    if (Files.size(csv) > MAX_FILE_BYTES) {
      throw new IOException(csv + " has more than " + MAX_FILE_BYTES + " bytes, too many to read");
    }
    int others = 0;
    try (CsvReader<CsvRecord> reader =
        CsvReader.builder()
            .allowMissingFields(true)
            .allowExtraFields(true)
            .detectBomHeader(true)
            .ofCsvRecord(csv)) {
      for (CsvRecord line : reader) {
        others += accept.test(line.getFields()) ? 0 : 1;
      }
    } catch (CsvParseException e) {
      others++;
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
    return others;
  }

  /** The first column with one of these names; -1 if there is none. */
  static int index(List<String> header, Set<String> names) {
    for (int i = 0; i < header.size(); i++) {
      if (names.contains(header.get(i).strip())) {
        return i;
      }
    }
    return -1;
  }

  /** A field on one line, without control characters; empty if the line lacks it. */
  static String text(List<String> fields, int index) {
    return ProfilerTool.printable(field(fields, index)).replaceAll("\\s+", " ").strip();
  }

  /** A field as a number, with or without commas between thousands; NaN if it is no finite one. */
  static double number(List<String> fields, int index) {
    try {
      double value = Double.parseDouble(field(fields, index).strip().replace(",", ""));
      return Double.isFinite(value) ? value : Double.NaN;
    } catch (NumberFormatException e) {
      return Double.NaN;
    }
  }

  private static String field(List<String> fields, int index) {
    return index >= 0 && index < fields.size() ? fields.get(index) : "";
  }
}
