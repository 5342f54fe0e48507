package dev.weir.simulation;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * What was measured on a device, as coefficients in a JSON file:
 *
 * <pre>{@code
 * {
 *   "format": "weir-iteration-time-1",
 *   "device": "any text",
 *   "model": "any text",
 *   "tokens": [1, 8, 64, 512],
 *   "seconds": [0.0093, 0.0094, 0.0097, 0.021],
 *   "secondsPerDecodeContextToken": 1.7e-7,
 *   "secondsPerPrefillPair": 2.1e-9
 * }
 * }</pre>
 *
 * <p>An iteration takes {@code f(n) + a * c + b * q}: {@code f} is piecewise linear through the
 * points ({@code tokens}, {@code seconds}) at the number {@code n} of tokens computed, constant
 * before the first point and going on with the last slope after the last; {@code c} is the sum of
 * the contexts of decoding requests; {@code q} is the number of pairs of a prefilled token and a
 * token that it attends to. All fields must be there, and no others. Immutable.
 */
public final class MeasuredIterationTime implements IterationTime {
  private static final String FORMAT = "weir-iteration-time-1";
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
          .build();

  private final String name;
  private final int[] tokens;
  private final double[] seconds;
  private final double secondsPerContextToken;
  private final double secondsPerPair;

  private record Content(
      String format,
      String device,
      String model,
      int[] tokens,
      double[] seconds,
      double secondsPerDecodeContextToken,
      double secondsPerPrefillPair) {}

  private MeasuredIterationTime(Content content) {
    name = content.model() + " on " + content.device();
    tokens = content.tokens();
    seconds = content.seconds();
    secondsPerContextToken = content.secondsPerDecodeContextToken();
    secondsPerPair = content.secondsPerPrefillPair();
    check(
        FORMAT.equals(content.format()), "format is '" + content.format() + "', must be " + FORMAT);
    check(
        tokens.length > 0 && tokens.length == seconds.length,
        "tokens has "
            + tokens.length
            + " values and seconds "
            + seconds.length
            + ", must be as many and at least one");
    for (int i = 0; i < tokens.length; i++) {
      check(
          tokens[i] >= 1 && (i == 0 || tokens[i] > tokens[i - 1]),
          "tokens is " + Arrays.toString(tokens) + ", must ascend from at least 1");
      check(
          seconds[i] > 0 && seconds[i] < Double.POSITIVE_INFINITY,
          "seconds has " + seconds[i] + ", must be finite and greater than 0");
    }
    int last = tokens.length - 1;
    check(
        last == 0 || seconds[last] >= seconds[last - 1],
        "seconds ends with a fall, which would go on below 0");
    checkCoefficient("secondsPerDecodeContextToken", secondsPerContextToken);
    checkCoefficient("secondsPerPrefillPair", secondsPerPair);
  }

  private static void checkCoefficient(String field, double value) {
    check(
        value >= 0 && value < Double.POSITIVE_INFINITY,
        field + " is " + value + ", must be finite and at least 0");
  }

  private static void check(boolean holds, String message) {
    if (!holds) {
      throw new IllegalArgumentException(message);
    }
  }

  /**
   * Reads a file.
   *
   * @throws IOException if the file cannot be read or is no JSON of this form
   * @throws IllegalArgumentException if a value is out of range; the message names file, field and
   *     value
   */
  public static MeasuredIterationTime read(Path file) throws IOException {
    if (!Files.isRegularFile(file)) {
      throw new IOException("the measured iteration time " + file + " is no file");
    }
    return parse(file.toString(), Files.readAllBytes(file));
  }

  /**
   * Reads the content of a file.
   *
   * @param name of the file, for messages
   * @throws IOException if it is no JSON of this form
   * @throws IllegalArgumentException if a value is out of range; the message names file, field and
   *     value
   */
  public static MeasuredIterationTime parse(String name, byte[] json) throws IOException {
    Content content;
    try {
      content = JSON.readValue(json, Content.class);
    } catch (JacksonException e) {
      throw new IOException(name + " is no measured iteration time: " + e.getOriginalMessage(), e);
    }
    try {
      return new MeasuredIterationTime(content);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(name + ": " + e.getMessage(), e);
    }
  }

  @Override
  public double seconds(BatchShape batch) {
    return computing(batch.tokens())
        + secondsPerContextToken * batch.decodeContext()
        + secondsPerPair * batch.prefillPairs();
  }

  private double computing(int count) {
    if (count <= tokens[0] || tokens.length == 1) {
      return seconds[0];
    }
    int right = 1;
    while (right < tokens.length - 1 && tokens[right] < count) {
      right++;
    }
    double slope = (seconds[right] - seconds[right - 1]) / (tokens[right] - tokens[right - 1]);
    return seconds[right] + slope * (count - tokens[right]);
  }

  @Override
  public String toString() {
    return name;
  }
}
