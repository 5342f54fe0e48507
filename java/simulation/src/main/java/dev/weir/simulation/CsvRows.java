package dev.weir.simulation;

import de.siegmar.fastcsv.reader.CsvParseException;
import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.CsvRecord;
import de.siegmar.fastcsv.reader.FieldMismatchStrategy;
import java.io.IOException;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;
import java.time.format.DateTimeParseException;
import java.time.temporal.TemporalAccessor;
import java.util.Iterator;
import java.util.List;

/** Traces in CSV; the header decides which. */
final class CsvRows implements TraceRows {
  private static final DateTimeFormatter DATE =
      new DateTimeFormatterBuilder()
          .append(DateTimeFormatter.ISO_LOCAL_DATE)
          .appendLiteral(' ')
          .append(DateTimeFormatter.ISO_LOCAL_TIME)
          .optionalStart()
          .appendOffsetId()
          .toFormatter();

  private enum Format {
    AZURE("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    VIDUR("arrived_at", "num_prefill_tokens", "num_decode_tokens"),
    BURST_GPT("Timestamp", "Request tokens", "Response tokens");

    final String time;
    final String prompt;
    final String output;

    Format(String time, String prompt, String output) {
      this.time = time;
      this.prompt = prompt;
      this.output = output;
    }

    static Format of(String file, List<String> header) throws TraceException {
      for (Format format : values()) {
        boolean complete = format == VIDUR || header.contains(format.time);
        if (complete && header.contains(format.prompt) && header.contains(format.output)) {
          return format;
        }
      }
      throw new TraceException(
          file
              + " has the header "
              + header
              + "; known are TIMESTAMP,ContextTokens,GeneratedTokens (Azure),"
              + " arrived_at,num_prefill_tokens,num_decode_tokens (Vidur) and"
              + " Timestamp,...,Request tokens,Response tokens,... (BurstGPT)");
    }
  }

  private final CsvReader<CsvRecord> csv;
  private final Iterator<CsvRecord> rows;
  private final List<String> header;
  private final Format format;
  private final int timeColumn;
  private final int promptColumn;
  private final int outputColumn;
  private CsvRecord row;

  private CsvRows(
      CsvReader<CsvRecord> csv, Iterator<CsvRecord> rows, List<String> header, Format format) {
    this.csv = csv;
    this.rows = rows;
    this.header = header;
    this.format = format;
    timeColumn = header.indexOf(format.time);
    promptColumn = header.indexOf(format.prompt);
    outputColumn = header.indexOf(format.output);
  }

  static CsvRows open(Path file) throws TraceException, IOException {
    return open(file.toString(), builder().detectBomHeader(true).ofCsvRecord(file));
  }

  static CsvRows open(String file, Reader text) throws TraceException, IOException {
    return open(file, builder().ofCsvRecord(text));
  }

  private static CsvReader.CsvReaderBuilder builder() {
    return CsvReader.builder()
        .missingFieldStrategy(FieldMismatchStrategy.IGNORE)
        .extraFieldStrategy(FieldMismatchStrategy.IGNORE);
  }

  private static CsvRows open(String file, CsvReader<CsvRecord> csv)
      throws TraceException, IOException {
    boolean opened = false;
    try {
      Iterator<CsvRecord> rows = csv.iterator();
      if (!rows.hasNext()) {
        throw new TraceException("the trace " + file + " is empty");
      }
      List<String> header = rows.next().getFields().stream().map(String::strip).toList();
      CsvRows open = new CsvRows(csv, rows, header, Format.of(file, header));
      opened = true;
      return open;
    } finally {
      if (!opened) {
        csv.close();
      }
    }
  }

  @Override
  public boolean timed() {
    return timeColumn >= 0;
  }

  @Override
  public boolean dated() {
    return format == Format.AZURE;
  }

  @Override
  public boolean advance() throws IOException {
    try {
      if (!rows.hasNext()) {
        return false;
      }
      row = rows.next();
      return true;
    } catch (CsvParseException e) {
      throw new IOException(e.getMessage(), e);
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  @Override
  public long line() {
    return row.getStartingLineNumber();
  }

  @Override
  public String timeText() {
    return format.time + " is " + row.getField(timeColumn);
  }

  @Override
  public double seconds() throws BadRowException {
    if (!timed()) {
      return 0;
    }
    String text = field(timeColumn);
    if (dated()) {
      return date(text);
    }
    double seconds;
    try {
      seconds = Double.parseDouble(text);
    } catch (NumberFormatException _) {
      seconds = Double.NaN;
    }
    if (!(seconds >= 0) || Double.isInfinite(seconds)) {
      throw new BadRowException(
          format.time + " is '" + text + "', must be a number of seconds, at least 0");
    }
    return seconds;
  }

  private static double date(String text) throws BadRowException {
    try {
      TemporalAccessor time = DATE.parseBest(text, OffsetDateTime::from, LocalDateTime::from);
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

  @Override
  public int promptTokens() throws BadRowException {
    return length(promptColumn);
  }

  @Override
  public int outputTokens() throws BadRowException {
    return length(outputColumn);
  }

  private int length(int column) throws BadRowException {
    String text = field(column);
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

  private String field(int column) throws BadRowException {
    if (row.getFieldCount() != header.size()) {
      throw new BadRowException(
          "has " + row.getFieldCount() + " fields, the header has " + header.size());
    }
    return row.getField(column).strip();
  }

  @Override
  public void close() throws IOException {
    csv.close();
  }
}
