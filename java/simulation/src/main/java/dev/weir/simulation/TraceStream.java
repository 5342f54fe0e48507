package dev.weir.simulation;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.function.Consumer;

/**
 * The good rows of a trace, read one at a time. {@link #hasNext} throws {@link
 * UncheckedIOException} if the file cannot be read any further.
 */
public final class TraceStream implements Iterator<Arrival>, AutoCloseable {
  private final TraceRows rows;
  private final Consumer<BadRow> badRows;
  private double origin;
  private double previous;
  private Arrival next;

  TraceStream(TraceRows rows, TimeOrigin origin, Consumer<BadRow> badRows) {
    this.rows = rows;
    this.badRows = badRows;
    this.origin = origin == TimeOrigin.FIRST_ROW || rows.dated() ? Double.NaN : 0;
  }

  /** Whether the file has arrival times; otherwise all rows are at 0. */
  public boolean timed() {
    return rows.timed();
  }

  @Override
  public boolean hasNext() {
    try {
      while (next == null && rows.advance()) {
        try {
          next = read();
        } catch (BadRowException e) {
          badRows.accept(new BadRow(rows.line(), e.getMessage()));
        }
      }
      return next != null;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Arrival read() throws BadRowException {
    double time = rows.seconds();
    int promptTokens = rows.promptTokens();
    int outputTokens = rows.outputTokens();
    if (Double.isNaN(origin)) {
      origin = time;
    }
    double seconds = time - origin;
    if (seconds < previous) {
      throw new BadRowException(rows.timeText() + ", earlier than the row before");
    }
    previous = seconds;
    return new Arrival(seconds, promptTokens, outputTokens);
  }

  @Override
  public Arrival next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    Arrival arrival = next;
    next = null;
    return arrival;
  }

  @Override
  public void close() throws IOException {
    rows.close();
  }
}
