package dev.weir.simulation;

import java.util.function.DoubleSupplier;
import java.util.random.RandomGenerator;
import org.apache.commons.rng.sampling.distribution.AhrensDieterMarsagliaTsangGammaSampler;
import org.apache.commons.rng.sampling.distribution.SharedStateContinuousSampler;

/** How requests follow each other in time. */
public sealed interface ArrivalProcess {
  /** What {@link #parse} understands, for help texts. */
  String SYNTAX = "at-once, poisson:RATE, gamma:RATE,CV or mmpp:RATE1,RATE2,SECONDS1,SECONDS2";

  /**
   * Begins a series of arrivals.
   *
   * @return gives the time to the next arrival, in seconds, at every call
   */
  DoubleSupplier start(RandomGenerator random);

  /**
   * Reads {@value #SYNTAX}. Rates are in requests a second.
   *
   * @throws IllegalArgumentException if the text is none of these, or a number is out of range
   */
  static ArrivalProcess parse(String text) {
    int colon = text.indexOf(':');
    String kind = colon < 0 ? text : text.substring(0, colon);
    double[] numbers = numbers(text, colon < 0 ? "" : text.substring(colon + 1));
    if (kind.equals("at-once") && colon < 0) {
      return new AtOnce();
    }
    if (kind.equals("poisson") && numbers.length == 1) {
      return new Poisson(numbers[0]);
    }
    if (kind.equals("gamma") && numbers.length == 2) {
      return new Gamma(numbers[0], numbers[1]);
    }
    if (kind.equals("mmpp") && numbers.length == 4) {
      return new Mmpp2(numbers[0], numbers[1], numbers[2], numbers[3]);
    }
    throw unreadable(text);
  }

  private static double[] numbers(String text, String arguments) {
    if (arguments.isEmpty()) {
      return new double[0];
    }
    String[] parts = arguments.split(",", -1);
    double[] numbers = new double[parts.length];
    for (int i = 0; i < parts.length; i++) {
      try {
        numbers[i] = Double.parseDouble(parts[i]);
      } catch (NumberFormatException _) {
        throw unreadable(text);
      }
    }
    return numbers;
  }

  private static IllegalArgumentException unreadable(String text) {
    return new IllegalArgumentException("'" + text + "' is no arrival process; write " + SYNTAX);
  }

  private static void checkPositive(String name, double value) {
    if (!(value > 0) || Double.isInfinite(value)) {
      throw new IllegalArgumentException(
          name + " is " + value + ", must be finite and greater than 0");
    }
  }

  /** All requests are there at the start. */
  record AtOnce() implements ArrivalProcess {
    @Override
    public DoubleSupplier start(RandomGenerator random) {
      return () -> 0;
    }

    @Override
    public String toString() {
      return "at-once";
    }
  }

  /**
   * Exponential gaps.
   *
   * @param rate requests a second
   */
  record Poisson(double rate) implements ArrivalProcess {
    /** Checks the range. */
    public Poisson {
      checkPositive("rate", rate);
    }

    @Override
    public DoubleSupplier start(RandomGenerator random) {
      return () -> random.nextExponential() / rate;
    }

    @Override
    public String toString() {
      return "poisson:" + rate;
    }
  }

  /**
   * Gaps of a Gamma distribution: burstier than Poisson if {@code cv} is greater than 1, more even
   * if it is less.
   *
   * @param rate requests a second
   * @param cv standard deviation of a gap over its mean
   */
  record Gamma(double rate, double cv) implements ArrivalProcess {
    /** Checks the ranges. */
    public Gamma {
      checkPositive("rate", rate);
      checkPositive("cv", cv);
    }

    @Override
    public DoubleSupplier start(RandomGenerator random) {
      double shape = 1 / (cv * cv);
      SharedStateContinuousSampler sampler =
          AhrensDieterMarsagliaTsangGammaSampler.of(random::nextLong, shape, 1 / (rate * shape));
      return sampler::sample;
    }

    @Override
    public String toString() {
      return "gamma:" + rate + "," + cv;
    }
  }

  /**
   * A Markov-modulated Poisson process with two states, in which it stays for exponential times.
   * Begins in the first.
   *
   * @param rate1 requests a second in the first state
   * @param rate2 requests a second in the second state
   * @param seconds1 mean time in the first state
   * @param seconds2 mean time in the second state
   */
  record Mmpp2(double rate1, double rate2, double seconds1, double seconds2)
      implements ArrivalProcess {
    /** Checks the ranges. */
    public Mmpp2 {
      checkPositive("rate1", rate1);
      checkPositive("rate2", rate2);
      checkPositive("seconds1", seconds1);
      checkPositive("seconds2", seconds2);
    }

    @Override
    public DoubleSupplier start(RandomGenerator random) {
      return new DoubleSupplier() {
        private boolean first = true;
        private double left = seconds1 * random.nextExponential();

        @Override
        public double getAsDouble() {
          double gap = 0;
          while (true) {
            double candidate = random.nextExponential() / (first ? rate1 : rate2);
            if (candidate <= left) {
              left -= candidate;
              return gap + candidate;
            }
            // Without memory, so the wait begins anew with the new rate.
            gap += left;
            first = !first;
            left = (first ? seconds1 : seconds2) * random.nextExponential();
          }
        }
      };
    }

    @Override
    public String toString() {
      return "mmpp:" + rate1 + "," + rate2 + "," + seconds1 + "," + seconds2;
    }
  }
}
