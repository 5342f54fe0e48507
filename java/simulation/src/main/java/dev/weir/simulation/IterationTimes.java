package dev.weir.simulation;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import java.io.IOException;
import java.nio.file.Path;

/** Finds a model of the time of an iteration by its text, and condenses it for planning. */
public final class IterationTimes {
  /** What {@link #parse} understands, for help texts. */
  public static final String SYNTAX =
      "profile (Llama-2-7B on an A100), linear:D0,D1 (seconds, and seconds a token in the batch) or"
          + " measured:FILE";

  private static final String PROFILE = "profile";
  private static final String LINEAR = "linear:";
  private static final String MEASURED = "measured:";

  private static final double SMALLEST_FIXED_SHARE = 0.1;

  private IterationTimes() {}

  /**
   * Reads {@value #SYNTAX}.
   *
   * @throws IllegalArgumentException if the text is none of these, or a number is out of range
   * @throws IOException if a file cannot be read
   */
  public static IterationTime parse(String text) throws IOException {
    if (text.equals(PROFILE)) {
      return ProfileIterationTime.a100Llama2();
    }
    if (text.startsWith(MEASURED)) {
      return MeasuredIterationTime.read(Path.of(text.substring(MEASURED.length())));
    }
    if (text.startsWith(LINEAR)) {
      String[] numbers = text.substring(LINEAR.length()).split(",", -1);
      if (numbers.length == 2) {
        try {
          return new LinearIterationTime(
              new IterationCost(Double.parseDouble(numbers[0]), Double.parseDouble(numbers[1])));
        } catch (NumberFormatException _) {
          throw unreadable(text);
        }
      }
    }
    throw unreadable(text);
  }

  private static IllegalArgumentException unreadable(String text) {
    return new IllegalArgumentException(
        "'" + text + "' is no time of an iteration; write " + SYNTAX);
  }

  /**
   * The line through a batch of one decoding request and a full one, for schedulers that plan with
   * the paper's model. If it starts below a tenth of the time of the one request, because a full
   * batch costs more than in proportion, it starts there and goes through the full batch: a model
   * without a fixed part would plan endlessly many iterations.
   *
   * @param requests requests of a full batch, at least 2
   * @param context tokens in the cache of each, at least 1
   */
  public static IterationCost linearise(IterationTime time, int requests, int context) {
    if (time instanceof LinearIterationTime linear) {
      return linear.cost();
    }
    BatchShape batch = new BatchShape();
    batch.addDecode(context);
    double one = time.seconds(batch);
    for (int i = 1; i < requests; i++) {
      batch.addDecode(context);
    }
    return line(context, one, (double) requests * context, time.seconds(batch));
  }

  /**
   * The line through a small batch and a large one, as {@link #linearise(IterationTime, int, int)}
   * describes it.
   *
   * @param fewTokens tokens of the small batch in the cache, greater than 0
   * @param few seconds that it takes
   * @param manyTokens tokens of the large batch; if not more than {@code fewTokens}, the line is
   *     level
   * @param many seconds that it takes
   */
  public static IterationCost line(double fewTokens, double few, double manyTokens, double many) {
    double slope =
        manyTokens > fewTokens ? Math.max(0, (many - few) / (manyTokens - fewTokens)) : 0;
    double fixed = few - slope * fewTokens;
    double leastFixed = SMALLEST_FIXED_SHARE * few;
    return fixed >= leastFixed
        ? new IterationCost(fixed, slope)
        : new IterationCost(leastFixed, (many - leastFixed) / manyTokens);
  }

  /**
   * The same line, and how far it is off over all batches that the limits allow.
   *
   * @param requests requests of a full batch, at least 2
   * @param context tokens in the cache of each, at least 1
   * @param longestContext the most tokens of one request in the cache, at least 1
   */
  public static Linearisation linearise(
      IterationTime time,
      int requests,
      int context,
      KvCapacity memory,
      BatchLimits limits,
      int longestContext) {
    if (longestContext < 1) {
      throw new IllegalArgumentException(
          "longestContext is " + longestContext + ", must be at least 1");
    }
    IterationCost cost = linearise(time, requests, context);
    return Linearisation.of(time, cost, memory, limits, longestContext);
  }
}
