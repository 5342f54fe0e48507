package dev.weir.cli.workload;

import java.util.Locale;
import java.util.random.RandomGenerator;

/** A distribution of lengths in tokens. Every sample is at least 1. */
public sealed interface LengthDistribution {
  /** What {@link #parse} understands, for help texts. */
  String SYNTAX = "fixed:N, uniform:MIN-MAX, lognormal:MEDIAN,SIGMA or exponential:MEAN";

  /** Draws one length. */
  int sample(RandomGenerator random);

  /**
   * Reads {@value #SYNTAX}.
   *
   * @throws IllegalArgumentException if the text is none of these, or a number is out of range
   */
  static LengthDistribution parse(String text) {
    int colon = text.indexOf(':');
    String kind = colon < 0 ? text : text.substring(0, colon);
    String arguments = colon < 0 ? "" : text.substring(colon + 1);
    try {
      return switch (kind.toLowerCase(Locale.ROOT)) {
        case "fixed" -> new Fixed(Integer.parseInt(arguments));
        case "uniform" -> {
          String[] bounds = split(text, arguments, "-");
          yield new Uniform(Integer.parseInt(bounds[0]), Integer.parseInt(bounds[1]));
        }
        case "lognormal" -> {
          String[] parameters = split(text, arguments, ",");
          yield new LogNormal(Double.parseDouble(parameters[0]), Double.parseDouble(parameters[1]));
        }
        case "exponential" -> new Exponential(Double.parseDouble(arguments));
        default -> throw unreadable(text);
      };
    } catch (NumberFormatException _) {
      throw unreadable(text);
    }
  }

  private static String[] split(String text, String arguments, String separator) {
    String[] parts = arguments.split(separator, -1);
    if (parts.length != 2) {
      throw unreadable(text);
    }
    return parts;
  }

  private static IllegalArgumentException unreadable(String text) {
    return new IllegalArgumentException(
        "'" + text + "' is no distribution of lengths; write " + SYNTAX);
  }

  private static int round(double length) {
    return (int) Math.clamp(Math.rint(length), 1, Integer.MAX_VALUE);
  }

  private static void checkPositive(String name, double value) {
    if (!(value > 0) || Double.isInfinite(value)) {
      throw new IllegalArgumentException(
          name + " is " + value + ", must be finite and greater than 0");
    }
  }

  /**
   * Always the same length.
   *
   * @param length tokens, at least 1
   */
  record Fixed(int length) implements LengthDistribution {
    /** Checks the range. */
    public Fixed {
      if (length < 1) {
        throw new IllegalArgumentException("length is " + length + ", must be at least 1");
      }
    }

    @Override
    public int sample(RandomGenerator random) {
      return length;
    }

    @Override
    public String toString() {
      return "fixed:" + length;
    }
  }

  /**
   * Every length from {@code min} to {@code max}, both included, equally likely.
   *
   * @param min tokens, at least 1
   * @param max tokens, at least {@code min}
   */
  record Uniform(int min, int max) implements LengthDistribution {
    /** Checks the range. */
    public Uniform {
      if (min < 1 || max < min) {
        throw new IllegalArgumentException(
            "uniform:" + min + "-" + max + " must have 1 <= MIN <= MAX");
      }
    }

    @Override
    public int sample(RandomGenerator random) {
      return (int) random.nextLong(min, max + 1L);
    }

    @Override
    public String toString() {
      return "uniform:" + min + "-" + max;
    }
  }

  /**
   * The logarithm of the length is normal. Its mean is {@code median * exp(sigma^2 / 2)}.
   *
   * @param median tokens, greater than 0
   * @param sigma standard deviation of the natural logarithm, greater than 0
   */
  record LogNormal(double median, double sigma) implements LengthDistribution {
    /** Checks the ranges. */
    public LogNormal {
      checkPositive("median", median);
      checkPositive("sigma", sigma);
    }

    @Override
    public int sample(RandomGenerator random) {
      return round(median * Math.exp(sigma * random.nextGaussian()));
    }

    @Override
    public String toString() {
      return "lognormal:" + median + "," + sigma;
    }
  }

  /**
   * Exponential, rounded to whole tokens.
   *
   * @param mean tokens, greater than 0
   */
  record Exponential(double mean) implements LengthDistribution {
    /** Checks the range. */
    public Exponential {
      checkPositive("mean", mean);
    }

    @Override
    public int sample(RandomGenerator random) {
      return round(mean * random.nextExponential());
    }

    @Override
    public String toString() {
      return "exponential:" + mean;
    }
  }
}
