package dev.weir.simulation;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.random.RandomGenerator;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/** A distribution of lengths in tokens. Every sample is at least 1. */
public sealed interface LengthDistribution {
  /** What {@link #parse} understands, for help texts. */
  String SYNTAX =
      "fixed:N, uniform:MIN-MAX, lognormal:MEDIAN,SIGMA, exponential:MEAN, empirical:FILE (a length"
          + " a line) or mixture:WEIGHT*LENGTHS+WEIGHT*LENGTHS...";

  /** Draws one length. */
  int sample(RandomGenerator random);

  /**
   * Reads {@value #SYNTAX}.
   *
   * @throws IllegalArgumentException if the text is none of these, a number is out of range, or a
   *     file cannot be read or is no list of lengths
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
        case "empirical" -> Empirical.read(arguments);
        case "mixture" -> Mixture.parse(text, arguments);
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

  /** The lengths of a file, each line equally likely. */
  final class Empirical implements LengthDistribution {
    private final String file;
    private final int[] lengths;

    private Empirical(String file, int[] lengths) {
      this.file = file;
      this.lengths = lengths;
    }

    private static Empirical read(String file) {
      try (BufferedReader lines = Files.newBufferedReader(Path.of(file))) {
        IntStream.Builder lengths = IntStream.builder();
        long number = 0;
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
          number++;
          lengths.add(length(file, number, line.strip()));
        }
        if (number == 0) {
          throw new IllegalArgumentException(file + " has no line");
        }
        return new Empirical(file, lengths.build().toArray());
      } catch (IOException e) {
        throw new IllegalArgumentException("cannot read the lengths in " + file + ": " + e, e);
      }
    }

    private static int length(String file, long line, String text) {
      int length;
      try {
        length = Integer.parseInt(text);
      } catch (NumberFormatException _) {
        length = 0;
      }
      if (length < 1) {
        throw new IllegalArgumentException(
            file + ", line " + line + " is '" + text + "', must be a whole number of at least 1");
      }
      return length;
    }

    @Override
    public int sample(RandomGenerator random) {
      return lengths[random.nextInt(lengths.length)];
    }

    @Override
    public String toString() {
      return "empirical:" + file;
    }
  }

  /** One of several distributions, chosen anew for each length. */
  final class Mixture implements LengthDistribution {
    private static final Pattern SEPARATOR = Pattern.compile("\\+(?=[0-9.]+\\*)");

    private final String text;
    private final double[] cumulativeWeights;
    private final List<LengthDistribution> parts;

    private Mixture(String text, double[] cumulativeWeights, List<LengthDistribution> parts) {
      this.text = text;
      this.cumulativeWeights = cumulativeWeights;
      this.parts = parts;
    }

    private static Mixture parse(String text, String arguments) {
      String[] terms = SEPARATOR.split(arguments, -1);
      double[] weights = new double[terms.length];
      List<LengthDistribution> parts = new ArrayList<>();
      double sum = 0;
      for (int i = 0; i < terms.length; i++) {
        int star = terms[i].indexOf('*');
        if (star < 0) {
          throw unreadable(text);
        }
        double weight = Double.parseDouble(terms[i].substring(0, star));
        checkPositive("weight", weight);
        sum += weight;
        weights[i] = sum;
        LengthDistribution part = LengthDistribution.parse(terms[i].substring(star + 1));
        if (part instanceof Mixture) {
          throw unreadable(text);
        }
        parts.add(part);
      }
      return new Mixture(text, weights, List.copyOf(parts));
    }

    @Override
    public int sample(RandomGenerator random) {
      double point = random.nextDouble() * cumulativeWeights[cumulativeWeights.length - 1];
      int index = 0;
      while (index < cumulativeWeights.length - 1 && point >= cumulativeWeights[index]) {
        index++;
      }
      return parts.get(index).sample(random);
    }

    @Override
    public String toString() {
      return text;
    }
  }
}
