package dev.weir.simulation;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Mooncake's traces: on each line a JSON object with {@code timestamp} (milliseconds), {@code
 * input_length} and {@code output_length}; other fields, such as {@code hash_ids}, are not looked
 * at.
 */
final class MooncakeRows implements TraceRows {
  private static final JsonFactory JSON =
      JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();
  private static final double SECONDS_PER_MS = 1e-3;
  private static final long MISSING = -1;

  private final BufferedReader lines;
  private long line;
  private long milliseconds;
  private long promptTokens;
  private long outputTokens;
  private String problem;

  private MooncakeRows(BufferedReader lines) {
    this.lines = lines;
  }

  static MooncakeRows open(Path file) throws IOException {
    return new MooncakeRows(Files.newBufferedReader(file));
  }

  @Override
  public boolean timed() {
    return true;
  }

  @Override
  public boolean dated() {
    return false;
  }

  @Override
  public boolean advance() throws IOException {
    String text = lines.readLine();
    if (text == null) {
      return false;
    }
    line++;
    milliseconds = MISSING;
    promptTokens = MISSING;
    outputTokens = MISSING;
    problem = null;
    try (JsonParser json = JSON.createParser(text)) {
      read(json);
    } catch (JacksonException e) {
      problem = "is no JSON: " + e.getOriginalMessage();
    }
    return true;
  }

  private void read(JsonParser json) throws IOException {
    if (json.nextToken() != JsonToken.START_OBJECT) {
      problem = "is no JSON object";
      return;
    }
    while (json.nextToken() == JsonToken.FIELD_NAME) {
      String name = json.currentName();
      json.nextToken();
      switch (name) {
        case "timestamp" -> milliseconds = number(json, name, 0, Long.MAX_VALUE);
        case "input_length" -> promptTokens = number(json, name, 1, Integer.MAX_VALUE);
        case "output_length" -> outputTokens = number(json, name, 1, Integer.MAX_VALUE);
        default -> json.skipChildren();
      }
    }
    if (problem == null && json.nextToken() != null) {
      problem = "has more than one JSON object";
    }
  }

  private long number(JsonParser json, String name, long min, long max) throws IOException {
    boolean whole =
        json.currentToken() == JsonToken.VALUE_NUMBER_INT
            && json.getNumberType() != JsonParser.NumberType.BIG_INTEGER;
    long value = whole ? json.getLongValue() : MISSING;
    if (value < min || value > max) {
      problem = name + " is " + json.getText() + ", must be a whole number of at least " + min;
    }
    json.skipChildren();
    return value;
  }

  private long field(String name, long value) throws BadRowException {
    if (problem != null) {
      throw new BadRowException(problem);
    }
    if (value == MISSING) {
      throw new BadRowException("has no " + name);
    }
    return value;
  }

  @Override
  public long line() {
    return line;
  }

  @Override
  public double seconds() throws BadRowException {
    return field("timestamp", milliseconds) * SECONDS_PER_MS;
  }

  @Override
  public int promptTokens() throws BadRowException {
    return (int) field("input_length", promptTokens);
  }

  @Override
  public int outputTokens() throws BadRowException {
    return (int) field("output_length", outputTokens);
  }

  @Override
  public String timeText() {
    return "timestamp is " + milliseconds;
  }

  @Override
  public void close() throws IOException {
    lines.close();
  }
}
