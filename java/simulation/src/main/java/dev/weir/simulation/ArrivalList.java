package dev.weir.simulation;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;

/**
 * The requests of a workload in order of arrival. Immutable.
 *
 * @param name where it comes from, for reports
 * @param arrivals the requests, sorted by time, at least one
 */
public record ArrivalList(String name, List<Arrival> arrivals) {
  /** Checks that there are requests and that they are sorted. */
  public ArrivalList {
    arrivals = List.copyOf(arrivals);
    if (arrivals.isEmpty()) {
      throw new IllegalArgumentException("the workload '" + name + "' has no request");
    }
    for (int i = 1; i < arrivals.size(); i++) {
      if (arrivals.get(i).seconds() < arrivals.get(i - 1).seconds()) {
        throw new IllegalArgumentException("request " + i + " arrives before its predecessor");
      }
    }
  }

  /**
   * Draws {@code count} requests that are all there at the start: lengths from the two
   * distributions.
   */
  public static ArrivalList draw(
      int count, LengthDistribution prompt, LengthDistribution output, RandomGenerator random) {
    List<Arrival> arrivals = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      arrivals.add(new Arrival(0, prompt.sample(random), output.sample(random)));
    }
    return new ArrivalList("prompt " + prompt + ", output " + output, arrivals);
  }

  /** The first {@code count} requests, or all if there are not more. */
  public ArrivalList limit(int count) {
    return count >= arrivals.size() ? this : new ArrivalList(name, arrivals.subList(0, count));
  }

  /**
   * The requests that fit, with their times.
   *
   * @throws IllegalArgumentException if none does
   */
  public ArrivalList filter(Predicate<Arrival> fits) {
    return new ArrivalList(name, arrivals.stream().filter(fits).toList());
  }

  /** The same requests, all there at the start. */
  public ArrivalList atOnce() {
    return new ArrivalList(
        name,
        arrivals.stream().map(a -> new Arrival(0, a.promptTokens(), a.outputTokens())).toList());
  }

  /**
   * The same requests in the same order as a Poisson process.
   *
   * @param rate requests a second, finite and greater than 0
   */
  public ArrivalList poisson(double rate, RandomGenerator random) {
    if (!(rate > 0) || Double.isInfinite(rate)) {
      throw new IllegalArgumentException(
          "rate is " + rate + " requests/s, must be finite and greater than 0");
    }
    List<Arrival> timed = new ArrayList<>(arrivals.size());
    double seconds = 0;
    for (Arrival arrival : arrivals) {
      seconds += random.nextExponential() / rate;
      timed.add(new Arrival(seconds, arrival.promptTokens(), arrival.outputTokens()));
    }
    return new ArrivalList(name, timed);
  }

  /** Time between the first and the last arrival, in seconds; 0 if all come at once. */
  public double windowSeconds() {
    return arrivals.getLast().seconds() - arrivals.getFirst().seconds();
  }

  /** Requests a second over the arrival window; positive infinity if all come at once. */
  public double rate() {
    double window = windowSeconds();
    return window > 0 ? (arrivals.size() - 1) / window : Double.POSITIVE_INFINITY;
  }

  /** Prompt lengths in tokens, in order of arrival. */
  public int[] promptTokens() {
    return arrivals.stream().mapToInt(Arrival::promptTokens).toArray();
  }

  /** Output lengths in tokens, in order of arrival. */
  public int[] outputTokens() {
    return arrivals.stream().mapToInt(Arrival::outputTokens).toArray();
  }

  /** The {@link WorkloadDigest} of the requests. */
  public String sha256() {
    WorkloadDigest digest = new WorkloadDigest();
    arrivals.forEach(digest::add);
    return digest.hex();
  }
}
