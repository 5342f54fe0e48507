package dev.weir.simulation.experiment;

import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Workload;
import dev.weir.simulation.Arrival;
import dev.weir.simulation.ArrivalList;
import dev.weir.simulation.ArrivalProcess;
import dev.weir.simulation.LengthDistribution;
import dev.weir.simulation.capacity.LengthMoments;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.DoubleSupplier;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;

/**
 * The joint distribution of prompt and output length: rows, each equally likely. What belongs
 * together stays together. Immutable.
 */
public final class RequestLengths {
  private static final long TABLE_SEED = 20;

  private final String name;
  private final int[] promptTokens;
  private final int[] outputTokens;
  private final LengthHistogram promptHistogram;
  private final LengthHistogram outputHistogram;
  private final LengthMoments moments;

  private RequestLengths(String name, int[] promptTokens, int[] outputTokens) {
    if (promptTokens.length == 0) {
      throw new IllegalArgumentException("the lengths '" + name + "' have no row");
    }
    this.name = name;
    this.promptTokens = promptTokens;
    this.outputTokens = outputTokens;
    promptHistogram = LengthHistogram.of(promptTokens);
    outputHistogram = LengthHistogram.of(outputTokens);
    moments = LengthMoments.of(promptTokens, outputTokens);
  }

  /** The lengths of a workload. */
  public static RequestLengths of(String name, ArrivalList rows) {
    return new RequestLengths(name, rows.promptTokens(), rows.outputTokens());
  }

  /**
   * Rows drawn from two distributions, the same ones at every call.
   *
   * @param rows number of rows, at least 1
   * @param fits rows that do not fit are drawn again
   */
  public static RequestLengths drawn(
      String name,
      int rows,
      LengthDistribution prompt,
      LengthDistribution output,
      Predicate<Arrival> fits) {
    RandomGenerator random = new SplittableRandom(TABLE_SEED);
    int[] prompts = new int[rows];
    int[] outputs = new int[rows];
    for (int i = 0; i < rows; i++) {
      Arrival row;
      do {
        row = new Arrival(0, prompt.sample(random), output.sample(random));
      } while (!fits.test(row));
      prompts[i] = row.promptTokens();
      outputs[i] = row.outputTokens();
    }
    return new RequestLengths(name, prompts, outputs);
  }

  /** All requests the same. */
  public static RequestLengths fixed(String name, int promptTokens, int outputTokens) {
    return new RequestLengths(name, new int[] {promptTokens}, new int[] {outputTokens});
  }

  /**
   * The rows that fit, under the same name.
   *
   * @throws IllegalArgumentException if none does
   */
  public RequestLengths filter(Predicate<Arrival> fits) {
    int[] kept =
        IntStream.range(0, size())
            .filter(i -> fits.test(new Arrival(0, promptTokens[i], outputTokens[i])))
            .toArray();
    return new RequestLengths(
        name,
        IntStream.of(kept).map(i -> promptTokens[i]).toArray(),
        IntStream.of(kept).map(i -> outputTokens[i]).toArray());
  }

  /** What it is, for reports. */
  public String name() {
    return name;
  }

  /** The same under another name. */
  public RequestLengths named(String other) {
    return new RequestLengths(other, promptTokens, outputTokens);
  }

  /** Number of rows. */
  public int size() {
    return promptTokens.length;
  }

  /** The outputs of all rows, in tokens. */
  int[] outputTokens() {
    return outputTokens.clone();
  }

  /** Mean prompt in tokens. */
  public double meanPromptTokens() {
    return promptHistogram.mean();
  }

  /** Mean output in tokens. */
  public double meanOutputTokens() {
    return outputHistogram.mean();
  }

  /** The longest output. */
  public int maxOutputTokens() {
    return outputHistogram.max();
  }

  /** The longest prompt. */
  public int maxPromptTokens() {
    return promptHistogram.max();
  }

  /**
   * {@code W = E[(S + 1)(p + S/2)]} of the joint distribution: token-iterations of a request
   * (section 2 of scheduling.md, arXiv 2504.11320).
   */
  public double work() {
    return moments.work();
  }

  /** What the fluid model needs to know. */
  public LengthMoments moments() {
    return moments;
  }

  /**
   * What a scheduler may be told: the rate and the two marginal distributions.
   *
   * @param arrivalRate requests a second
   */
  public Workload workload(double arrivalRate) {
    return new Workload(arrivalRate, promptHistogram, outputHistogram);
  }

  /**
   * Draws a workload. The lengths depend on the seed and the number alone, and the gaps of a
   * Poisson process at another rate are the same ones stretched: common random numbers.
   *
   * @param requests number of requests, at least 1
   */
  public ArrivalList draw(int requests, ArrivalProcess process, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    DoubleSupplier gaps = process.start(random.split());
    RandomGenerator rows = random.split();
    List<Arrival> arrivals = new ArrayList<>(requests);
    double seconds = 0;
    for (int i = 0; i < requests; i++) {
      seconds += gaps.getAsDouble();
      arrivals.add(row(seconds, rows.nextInt(size())));
    }
    return new ArrivalList(name + ", " + process + ", seed " + seed, arrivals);
  }

  /** The request of a row at a time. */
  public Arrival row(double seconds, int row) {
    return new Arrival(seconds, promptTokens[row], outputTokens[row]);
  }

  @Override
  public String toString() {
    return name;
  }
}
