package dev.weir.simulation;

import java.io.Closeable;
import java.io.IOException;

/** The rows of a trace in one format, one at a time. */
interface TraceRows extends Closeable {
  /** Whether rows have times. */
  boolean timed();

  /** Whether times are dates, which only make sense relative to the first. */
  boolean dated();

  /** Goes on to the next row; false at the end. */
  boolean advance() throws IOException;

  /** Line of the file on which the row starts, from 1. */
  long line();

  /** Seconds; 0 if rows have no times. */
  double seconds() throws BadRowException;

  /** At least 1. */
  int promptTokens() throws BadRowException;

  /** At least 1. */
  int outputTokens() throws BadRowException;

  /** The time of the row as it is written. */
  String timeText();
}
