package dev.weir.cli.workload;

import de.siegmar.fastcsv.reader.CsvParseException;
import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.CsvRecord;
import de.siegmar.fastcsv.reader.FieldMismatchStrategy;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;
import java.time.format.DateTimeParseException;
import java.time.temporal.TemporalAccessor;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/**
 * Reads request traces in CSV. The header decides the format:
 *
 * <ul>
 *   <li>Azure LLM inference traces: {@code TIMESTAMP,ContextTokens,GeneratedTokens}, the time as
 *       {@code 2023-11-16 18:17:03.9799600} with or without an offset;
 *   <li>Vidur: {@code arrived_at,num_prefill_tokens,num_decode_tokens}, the time in seconds; {@code
 *       arrived_at} may be missing. Further columns are not looked at.
 * </ul>
 *
 * <p>Times count from the first good row. A row with a missing field, a length that is no whole
 * number or less than 1, an unreadable time, or a time before that of its predecessor is left out
 * and reported as a {@link BadRow}; nothing is repaired or clipped.
 */
public final class TraceReader {
  private static final DateTimeFormatter AZURE_TIME =
      new DateTimeFormatterBuilder()
          .append(DateTimeFormatter.ISO_LOCAL_DATE)
          .appendLiteral(' ')
          .append(DateTimeFormatter.ISO_LOCAL_TIME)
          .optionalStart()
          .appendOffsetId()
          .toFormatter();
  private static final int NO_COLUMN = -1;

  private final List<String> header;
  private final int timeColumn;
  private final int promptColumn;
  private final int outputColumn;
  private final boolean azure;

  private TraceReader(Path file, List<String> header) throws TraceException {
    this.header = header;
    azure = header.contains("ContextTokens");
    timeColumn = header.indexOf(azure ? "TIMESTAMP" : "arrived_at");
    promptColumn = header.indexOf(azure ? "ContextTokens" : "num_prefill_tokens");
    outputColumn = header.indexOf(azure ? "GeneratedTokens" : "num_decode_tokens");
    if (promptColumn < 0 || outputColumn < 0 || (azure && timeColumn < 0)) {
      throw new TraceException(
          file
              + " has the header "
              + header
              + "; known are TIMESTAMP,ContextTokens,GeneratedTokens (Azure) and"
              + " arrived_at,num_prefill_tokens,num_decode_tokens (Vidur)");
    }
  }

  /**
   * Reads a whole trace.
   *
   * @throws TraceException if the file cannot be read, has an unknown header or not one good row
   */
  public static Trace read(Path file) throws TraceException {
    if (!Files.isRegularFile(file)) {
      throw new TraceException("the trace " + file + " is no file");
    }
    try (CsvReader<CsvRecord> csv =
        CsvReader.builder()
            .missingFieldStrategy(FieldMismatchStrategy.IGNORE)
            .extraFieldStrategy(FieldMismatchStrategy.IGNORE)
            .detectBomHeader(true)
            .ofCsvRecord(file)) {
      Iterator<CsvRecord> rows = csv.iterator();
      if (!rows.hasNext()) {
        throw new TraceException("the trace " + file + " is empty");
      }
      List<String> header = rows.next().getFields().stream().map(String::strip).toList();
      return new TraceReader(file, header).rows(file, rows);
    } catch (IOException | CsvParseException e) {
      throw new TraceException("cannot read the trace " + file + ": " + e.getMessage(), e);
    }
  }

  private Trace rows(Path file, Iterator<CsvRecord> rows) throws TraceException {
    List<Arrival> arrivals = new ArrayList<>();
    List<BadRow> badRows = new ArrayList<>();
    double origin = Double.NaN;
    double previous = 0;
    while (rows.hasNext()) {
      CsvRecord row = rows.next();
      try {
        double time = time(row);
        int promptTokens = length(row, promptColumn);
        int outputTokens = length(row, outputColumn);
        if (Double.isNaN(origin)) {
          origin = time;
        }
        double seconds = time - origin;
        if (seconds < previous) {
          throw new BadRowException(
              header.get(timeColumn)
                  + " is "
                  + row.getField(timeColumn)
                  + ", earlier than the row before");
        }
        previous = seconds;
        arrivals.add(new Arrival(seconds, promptTokens, outputTokens));
      } catch (BadRowException e) {
        badRows.add(new BadRow(row.getStartingLineNumber(), e.getMessage()));
      }
    }
    if (arrivals.isEmpty()) {
      String first =
          badRows.isEmpty()
              ? "it has no rows"
              : "first: line " + badRows.getFirst().line() + ", " + badRows.getFirst().reason();
      throw new TraceException("the trace " + file + " has not one good row (" + first + ")");
    }
    return new Trace(
        new ArrivalList(file.getFileName().toString(), arrivals), timeColumn != NO_COLUMN, badRows);
  }

  private double time(CsvRecord row) throws BadRowException {
    if (timeColumn == NO_COLUMN) {
      return 0;
    }
    String text = field(row, timeColumn);
    if (azure) {
      try {
        TemporalAccessor time =
            AZURE_TIME.parseBest(text, OffsetDateTime::from, LocalDateTime::from);
        OffsetDateTime instant =
            time instanceof OffsetDateTime withOffset
                ? withOffset
                : LocalDateTime.from(time).atOffset(ZoneOffset.UTC);
        return instant.toEpochSecond() + instant.getNano() / 1e9;
      } catch (DateTimeParseException _) {
        throw new BadRowException(
            "TIMESTAMP is '" + text + "', must be like 2023-11-16 18:17:03.979");
      }
    }
    double seconds;
    try {
      seconds = Double.parseDouble(text);
    } catch (NumberFormatException _) {
      seconds = Double.NaN;
    }
    if (!(seconds >= 0) || Double.isInfinite(seconds)) {
      throw new BadRowException(
          header.get(timeColumn) + " is '" + text + "', must be a number of seconds, at least 0");
    }
    return seconds;
  }

  private int length(CsvRecord row, int column) throws BadRowException {
    String text = field(row, column);
    int length;
    try {
      length = Integer.parseInt(text);
    } catch (NumberFormatException _) {
      length = 0;
    }
    if (length < 1) {
      throw new BadRowException(
          header.get(column) + " is '" + text + "', must be a whole number of at least 1");
    }
    return length;
  }

  private String field(CsvRecord row, int column) throws BadRowException {
    if (row.getFieldCount() != header.size()) {
      throw new BadRowException(
          "has " + row.getFieldCount() + " fields, the header has " + header.size());
    }
    return row.getField(column).strip();
  }

  private static final class BadRowException extends Exception {
    private static final long serialVersionUID = 1;

    BadRowException(String message) {
      super(message, null, false, false);
    }
  }
}
