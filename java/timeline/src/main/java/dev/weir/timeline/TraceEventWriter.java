package dev.weir.timeline;

import com.fasterxml.jackson.core.JsonEncoding;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;

/**
 * Streams events to a file in the Trace Event Format, as a JSON array. Of an event that was written
 * nothing stays in memory, and a file that breaks off is still read: the format allows the bracket
 * at the end to be missing.
 *
 * <p>{@link #slice}, {@link #begin}, {@link #end}, {@link #instant} and {@link #counter} start an
 * event; {@code arg} may follow, and {@link #done} ends it. Times are nanoseconds since any origin;
 * the file has microseconds with three decimals. Not thread-safe.
 *
 * <p>Format: "Trace Event Format" by the Chromium project, sections "Duration Events", "Complete
 * Events", "Instant Events", "Counter Events" and "Metadata Events".
 */
final class TraceEventWriter implements Closeable {
  private static final int NANOS_PER_MICROSECOND = 1000;
  private static final int LONGEST_NUMBER = 24;

  private final JsonGenerator json;
  private final char[] number = new char[LONGEST_NUMBER];
  private boolean inArguments;

  /** Creates or replaces the file. */
  TraceEventWriter(Path file) throws IOException {
    json = new JsonFactory().createGenerator(file.toFile(), JsonEncoding.UTF8);
    json.writeStartArray();
  }

  /** Names a group of tracks, and says where it stands among them. */
  void nameProcess(int process, String name) throws IOException {
    metadata("process_name", process, 0).arg("name", name).done();
    metadata("process_sort_index", process, 0).arg("sort_index", process).done();
  }

  /** Names a track; tracks of a group stand in the order of their numbers. */
  void nameTrack(int process, long track, String name) throws IOException {
    metadata("thread_name", process, track).arg("name", name).done();
    metadata("thread_sort_index", process, track).arg("sort_index", track).done();
  }

  private TraceEventWriter metadata(String name, int process, long track) throws IOException {
    head(name, "M", process, track);
    return this;
  }

  /** A slice whose end is known. Those of a track must nest, the outer one written first. */
  TraceEventWriter slice(String name, int process, long track, long start, long duration)
      throws IOException {
    head(name, "X", process, track);
    microseconds("ts", start);
    microseconds("dur", duration);
    return this;
  }

  /** Begins a slice that {@link #end} ends. Those of a track must nest. */
  TraceEventWriter begin(String name, int process, long track, long time) throws IOException {
    head(name, "B", process, track);
    microseconds("ts", time);
    return this;
  }

  /** Ends the slice of the track that was begun last. */
  TraceEventWriter end(String name, int process, long track, long time) throws IOException {
    head(name, "E", process, track);
    microseconds("ts", time);
    return this;
  }

  /** A mark on a track. */
  TraceEventWriter instant(String name, int process, long track, long time) throws IOException {
    head(name, "i", process, track);
    microseconds("ts", time);
    json.writeStringField("s", "t");
    return this;
  }

  /** New values of a counter: each argument is a line of its own. */
  TraceEventWriter counter(String name, int process, long time) throws IOException {
    head(name, "C", process, 0);
    microseconds("ts", time);
    return this;
  }

  TraceEventWriter arg(String name, long value) throws IOException {
    arguments();
    json.writeNumberField(name, value);
    return this;
  }

  TraceEventWriter arg(String name, String value) throws IOException {
    arguments();
    json.writeStringField(name, value);
    return this;
  }

  /** Ends the event. */
  void done() throws IOException {
    if (inArguments) {
      json.writeEndObject();
      inArguments = false;
    }
    json.writeEndObject();
    json.writeRaw('\n'); // so that people and line-wise tools can read it
  }

  private void head(String name, String phase, int process, long track) throws IOException {
    json.writeStartObject();
    json.writeStringField("name", name);
    json.writeStringField("ph", phase);
    json.writeNumberField("pid", process);
    json.writeNumberField("tid", track);
  }

  private void arguments() throws IOException {
    if (!inArguments) {
      json.writeObjectFieldStart("args");
      inArguments = true;
    }
  }

  /** As a decimal fraction: a double has too few digits for an origin far in the past. */
  private void microseconds(String field, long nanos) throws IOException {
    json.writeFieldName(field);
    long magnitude = Math.abs(nanos);
    int at = number.length;
    int fraction = (int) (magnitude % NANOS_PER_MICROSECOND);
    for (int digit = 0; digit < 3; digit++) {
      number[--at] = (char) ('0' + fraction % 10);
      fraction /= 10;
    }
    number[--at] = '.';
    long whole = magnitude / NANOS_PER_MICROSECOND;
    do {
      number[--at] = (char) ('0' + whole % 10);
      whole /= 10;
    } while (whole > 0);
    if (nanos < 0) {
      number[--at] = '-';
    }
    json.writeRawValue(number, at, number.length - at);
  }

  /** Writes out what is buffered. */
  void flush() throws IOException {
    json.flush();
  }

  @Override
  public void close() throws IOException {
    json.close();
  }
}
