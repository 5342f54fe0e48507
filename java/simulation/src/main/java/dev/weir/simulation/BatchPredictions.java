package dev.weir.simulation;

import de.siegmar.fastcsv.reader.CsvParseException;
import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.NamedCsvRecord;
import de.siegmar.fastcsv.writer.CsvWriter;
import de.siegmar.fastcsv.writer.LineDelimiter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Copies a CSV file of batches and adds how long a model says that each takes. */
public final class BatchPredictions {
  private static final String BATCH = "batch";
  private static final String PREDICTION = "predicted_ms";

  private BatchPredictions() {}

  /**
   * Reads the column {@code batch} (see {@link BatchNotation}) and writes all columns and {@code
   * predicted_ms}, milliseconds with six decimals.
   *
   * @return the number of batches
   * @throws IOException if a file cannot be read or written
   * @throws TraceException if the input has no such column, or a row is no batch; the message names
   *     the line
   */
  public static long write(Path input, Path output, IterationTime time)
      throws IOException, TraceException {
    if (!Files.isRegularFile(input)) {
      throw new TraceException(input + " is no file");
    }
    long count = 0;
    BatchShape batch = new BatchShape();
    try (CsvReader<NamedCsvRecord> rows = CsvReader.builder().ofNamedCsvRecord(input);
        CsvWriter writer = CsvWriter.builder().lineDelimiter(LineDelimiter.LF).build(output)) {
      for (NamedCsvRecord row : rows) {
        String text =
            row.findField(BATCH)
                .orElseThrow(() -> new TraceException(input + " has no column '" + BATCH + "'"));
        if (count == 0) {
          writer.writeRecord(with(row.getHeader(), PREDICTION));
        }
        try {
          BatchNotation.read(text, batch);
        } catch (IllegalArgumentException e) {
          throw new TraceException(
              input + ", line " + row.getStartingLineNumber() + ": " + e.getMessage(), e);
        }
        String milliseconds = String.format(Locale.ROOT, "%.6f", 1e3 * time.seconds(batch));
        writer.writeRecord(with(row.getFields(), milliseconds));
        count++;
      }
    } catch (CsvParseException e) {
      throw new TraceException("cannot read " + input + ": " + e.getMessage(), e);
    }
    return count;
  }

  private static List<String> with(List<String> fields, String last) {
    List<String> all = new ArrayList<>(fields);
    all.add(last);
    return all;
  }
}
