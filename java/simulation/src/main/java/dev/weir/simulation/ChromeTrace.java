package dev.weir.simulation;

import com.fasterxml.jackson.core.JsonEncoding;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.Closeable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/**
 * Writes a simulation in the Trace Event Format, as a JSON array that Perfetto (ui.perfetto.dev)
 * and chrome://tracing open: a slice for each iteration and a counter of the KV blocks in use, and
 * a track for each request with slices for waiting, prefill, decoding and evictions. Virtual
 * seconds become microseconds of the trace.
 */
public final class ChromeTrace implements SimulationListener, Closeable {
  private static final int ITERATIONS = 1;
  private static final int REQUESTS = 2;
  private static final double MICROSECONDS = 1e6;

  private final JsonGenerator json;

  /** When each request that has no token since was evicted. */
  private final Map<Long, Double> evictedAt = new HashMap<>();

  private double now;

  /** Creates or replaces the file. */
  public ChromeTrace(Path file) throws IOException {
    json = new JsonFactory().createGenerator(file.toFile(), JsonEncoding.UTF8);
    json.writeStartArray();
    name(ITERATIONS, "iterations");
    name(REQUESTS, "requests");
  }

  private interface Part {
    void write() throws IOException;
  }

  private static void write(Part part) {
    try {
      part.write();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void name(int process, String text) throws IOException {
    json.writeStartObject();
    json.writeStringField("name", "process_name");
    json.writeStringField("ph", "M");
    json.writeNumberField("pid", process);
    json.writeObjectFieldStart("args");
    json.writeStringField("name", text);
    json.writeEndObject();
    json.writeEndObject();
  }

  private void begin(String name, String phase, int process, long track, double seconds)
      throws IOException {
    json.writeStartObject();
    json.writeStringField("name", name);
    json.writeStringField("ph", phase);
    json.writeNumberField("pid", process);
    json.writeNumberField("tid", track);
    json.writeNumberField("ts", seconds * MICROSECONDS);
  }

  private void slice(String name, SimulatedRequest request, double from, double until) {
    write(
        () -> {
          begin(name, "X", REQUESTS, request.index(), from);
          json.writeNumberField("dur", (until - from) * MICROSECONDS);
          json.writeEndObject();
        });
  }

  @Override
  public void planned(double time) {
    now = time;
  }

  @Override
  public void evicted(SimulatedRequest request) {
    evictedAt.putIfAbsent(request.index(), now);
  }

  @Override
  public void iterated(SimulatedIteration iteration) {
    now = iteration.end();
    write(
        () -> {
          BatchShape batch = iteration.batch();
          begin("iteration", "X", ITERATIONS, 0, iteration.start());
          json.writeNumberField("dur", (iteration.end() - iteration.start()) * MICROSECONDS);
          json.writeObjectFieldStart("args");
          json.writeNumberField("requests", batch.requests());
          json.writeNumberField("prefill tokens", batch.prefillTokens());
          json.writeNumberField("decode tokens", batch.decodes());
          json.writeNumberField("evictions", iteration.evictions());
          json.writeEndObject();
          json.writeEndObject();
          begin("KV blocks", "C", ITERATIONS, 0, iteration.start());
          json.writeObjectFieldStart("args");
          json.writeNumberField("used", iteration.usedBlocks());
          json.writeEndObject();
          json.writeEndObject();
        });
  }

  @Override
  public void generated(SimulatedRequest request, double gap) {
    Double from = evictedAt.isEmpty() ? null : evictedAt.remove(request.index());
    if (from != null) {
      slice("evicted", request, from, now);
    }
  }

  @Override
  public void completed(SimulatedRequest request) {
    slice("waiting", request, request.arrival().seconds(), request.scheduledAt());
    slice("prefill", request, request.scheduledAt(), request.firstTokenAt());
    slice("decode", request, request.firstTokenAt(), request.completedAt());
  }

  @Override
  public void close() throws IOException {
    json.close();
  }
}
