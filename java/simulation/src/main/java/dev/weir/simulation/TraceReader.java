package dev.weir.simulation;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Reads request traces. The first line decides the format:
 *
 * <ul>
 *   <li>Azure LLM inference traces: {@code TIMESTAMP,ContextTokens,GeneratedTokens}, the time as
 *       {@code 2023-11-16 18:17:03.9799600} with or without an offset;
 *   <li>Vidur: {@code arrived_at,num_prefill_tokens,num_decode_tokens}, the time in seconds; {@code
 *       arrived_at} may be missing;
 *   <li>BurstGPT: {@code Timestamp}, {@code Request tokens}, {@code Response tokens}, the time in
 *       seconds. Failed requests have no response tokens, so their rows are left out;
 *   <li>Mooncake: JSON lines with {@code timestamp} in milliseconds, {@code input_length}, {@code
 *       output_length}.
 * </ul>
 *
 * <p>Further columns and fields are not looked at. A row with a missing field, a length that is no
 * whole number or less than 1, an unreadable time, or a time before that of its predecessor is left
 * out and reported as a {@link BadRow}; nothing is repaired or clipped.
 */
public final class TraceReader {
  private TraceReader() {}

  /**
   * Opens a trace, to be read row by row; memory does not depend on its length.
   *
   * @param badRows is told of the rows that are left out, in file order
   * @throws TraceException if the file cannot be read or has an unknown header
   */
  public static TraceStream open(Path file, TimeOrigin origin, Consumer<BadRow> badRows)
      throws TraceException {
    if (!Files.isRegularFile(file)) {
      throw new TraceException("the trace " + file + " is no file");
    }
    try {
      TraceRows rows = startsWithBrace(file) ? MooncakeRows.open(file) : CsvRows.open(file);
      return new TraceStream(rows, origin, badRows);
    } catch (IOException e) {
      throw unreadable(file.toString(), e);
    }
  }

  /**
   * Reads a whole trace, times from the first good row.
   *
   * @throws TraceException if the file cannot be read, has an unknown header or not one good row
   */
  public static Trace read(Path file) throws TraceException {
    List<BadRow> badRows = new ArrayList<>();
    return read(file.toString(), badRows, open(file, TimeOrigin.FIRST_ROW, badRows::add));
  }

  /**
   * Reads a whole CSV trace, times from the first good row.
   *
   * @param file its name, for messages
   * @param text closed afterwards
   * @throws TraceException as {@link #read(Path)} does
   */
  public static Trace read(String file, Reader text) throws TraceException {
    List<BadRow> badRows = new ArrayList<>();
    try {
      TraceRows rows = CsvRows.open(file, text);
      return read(file, badRows, new TraceStream(rows, TimeOrigin.FIRST_ROW, badRows::add));
    } catch (IOException e) {
      throw unreadable(file, e);
    }
  }

  private static Trace read(String file, List<BadRow> badRows, TraceStream opened)
      throws TraceException {
    List<Arrival> arrivals = new ArrayList<>();
    boolean timed;
    try (TraceStream stream = opened) {
      timed = stream.timed();
      stream.forEachRemaining(arrivals::add);
    } catch (IOException e) {
      throw unreadable(file, e);
    } catch (UncheckedIOException e) {
      throw unreadable(file, e.getCause());
    }
    if (arrivals.isEmpty()) {
      String first =
          badRows.isEmpty()
              ? "it has no rows"
              : "first: line " + badRows.getFirst().line() + ", " + badRows.getFirst().reason();
      throw new TraceException("the trace " + file + " has not one good row (" + first + ")");
    }
    return new Trace(new ArrivalList(name(file), arrivals), timed, badRows);
  }

  private static String name(String file) {
    return file.substring(file.lastIndexOf(File.separatorChar) + 1);
  }

  private static TraceException unreadable(String file, IOException e) {
    return new TraceException("cannot read the trace " + file + ": " + e.getMessage(), e);
  }

  private static boolean startsWithBrace(Path file) throws IOException {
    try (InputStream stream = Files.newInputStream(file)) {
      return stream.read() == '{';
    }
  }
}
