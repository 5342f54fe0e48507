package dev.weir.simulation;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
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
 * token that it attends to. All these fields must be there, and no others but {@code profile},
 * which says how it was measured and does not matter here; see {@link
 * dev.weir.simulation.measured.MeasurementFile}. Immutable.
 */
public final class MeasuredIterationTime implements IterationTime {
  /** What the field {@code format} says. */
  public static final String FORMAT = "weir-iteration-time-1";

  /** The field that readers of coefficients leave alone. */
  public static final String PROFILE = "profile";

  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
          .build();

  private final String device;
  private final String model;
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
    device = content.device();
    model = content.model();
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

  /**
   * From coefficients.
   *
   * @param device any text
   * @param model any text
   * @param tokens ascending from at least 1
   * @param seconds as many, greater than 0; the last not less than the one before
   * @param secondsPerDecodeContextToken at least 0
   * @param secondsPerPrefillPair at least 0
   * @throws IllegalArgumentException if one is out of range; the message names it
   */
  public static MeasuredIterationTime of(
      String device,
      String model,
      int[] tokens,
      double[] seconds,
      double secondsPerDecodeContextToken,
      double secondsPerPrefillPair) {
    return new MeasuredIterationTime(
        new Content(
            FORMAT,
            device,
            model,
            tokens.clone(),
            seconds.clone(),
            secondsPerDecodeContextToken,
            secondsPerPrefillPair));
  }

  /** What was measured. */
  public String device() {
    return device;
  }

  /** What ran on it. */
  public String model() {
    return model;
  }

  /** The numbers of tokens at which {@code f} is known. */
  public int[] tokens() {
    return tokens.clone();
  }

  /** {@code f} at {@link #tokens}. */
  public double[] secondsAtTokens() {
    return seconds.clone();
  }

  /** {@code a}, seconds for each token in the context of a decoding request. */
  public double secondsPerDecodeContextToken() {
    return secondsPerContextToken;
  }

  /** {@code b}, seconds for each pair of a prefilled token and one that it attends to. */
  public double secondsPerPrefillPair() {
    return secondsPerPair;
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
      JsonNode root = JSON.readTree(json);
      if (root instanceof ObjectNode fields) {
        fields.remove(PROFILE);
      }
      content = JSON.treeToValue(root, Content.class);
      if (content == null) {
        throw new IOException(name + " is no measured iteration time: it is empty");
      }
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
    return model + " on " + device;
  }
}
