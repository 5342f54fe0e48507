package dev.weir.simulation.experiment;

import dev.weir.scheduling.SchedulerConfig;
import dev.weir.simulation.Arrival;
import dev.weir.simulation.Simulation;
import dev.weir.simulation.SimulationOptions;
import dev.weir.simulation.SimulationResult;
import dev.weir.simulation.metrics.Metrics;
import dev.weir.simulation.metrics.SimulationMetrics;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/**
 * Finds the cap of {@code capped-fcfs} for a workload by simulating the workload once with every
 * cap of a grid, several at a time. What it returns does not depend on how many.
 */
public final class CapSearch {
  /** The scheduler whose cap is searched. */
  public static final String SCHEDULER = "capped-fcfs";

  /**
   * Throughputs that differ by less than this share count as equal. Below saturation nearly all
   * caps have the throughput of the arrivals, and what is left of a difference is which iteration
   * the window ends in.
   */
  public static final double TIE = 0.001;

  private CapSearch() {}

  /**
   * One simulation.
   *
   * @param cap the most requests that ran at the same time
   * @param metrics the figures of the whole run
   */
  public record Trial(int cap, Metrics metrics) {
    /**
     * Output tokens a second within the arrival window; over the whole run if all requests came at
     * once.
     */
    public double outputTokensPerSecond() {
      double inWindow = metrics.windowOutputTokensPerSecond();
      return Double.isNaN(inWindow) ? metrics.outputTokensPerSecond() : inWindow;
    }
  }

  /**
   * All simulations.
   *
   * @param trials in the order of the caps that were asked for, at least one
   */
  public record Result(List<Trial> trials) {
    /** Copies the list. */
    public Result {
      trials = List.copyOf(trials);
    }

    /**
     * The one with the most output tokens a second; of those that are {@link #TIE equal} in that,
     * the one with the lowest 99th percentile of the time to the first token, and of these the
     * smallest cap.
     */
    public Trial best() {
      double most = trials.stream().mapToDouble(Trial::outputTokensPerSecond).max().orElseThrow();
      return trials.stream()
          .filter(trial -> trial.outputTokensPerSecond() >= (1 - TIE) * most)
          .min(
              Comparator.<Trial>comparingDouble(t -> t.metrics().timeToFirstToken().p99())
                  .thenComparingInt(Trial::cap))
          .orElseThrow();
    }
  }

  /**
   * Caps in about equal ratios.
   *
   * @param least the first, at least 1
   * @param most the last, at least {@code least}
   * @param count how many, at least 2; fewer if there are not so many whole numbers
   */
  public static List<Integer> grid(int least, int most, int count) {
    if (least < 1 || most < least || count < 2) {
      throw new IllegalArgumentException(
          count
              + " caps of "
              + least
              + ".."
              + most
              + ": there must be at least 2, the first at least 1, the last not less than the"
              + " first");
    }
    double ratio = (double) most / least;
    return IntStream.range(0, count)
        .map(i -> (int) Math.round(least * Math.pow(ratio, i / (count - 1.0))))
        .distinct()
        .boxed()
        .toList();
  }

  /**
   * Simulates the workload with every cap.
   *
   * @param options the device and its settings; the name of the scheduler is ignored, and of its
   *     options {@code cap}
   * @param workload gives the same requests every time; is asked by several threads at once
   * @param caps the caps to try, at least one, each at least 1
   * @param warmUpSeconds as in {@link SimulationMetrics#SimulationMetrics(double, Optional)}
   * @throws IllegalArgumentException if there is no cap, or the scheduler refuses one or another
   *     option
   */
  public static Result search(
      SimulationOptions options,
      Supplier<Iterator<Arrival>> workload,
      List<Integer> caps,
      double warmUpSeconds) {
    if (caps.isEmpty()) {
      throw new IllegalArgumentException("there is no cap to try");
    }
    return new Result(
        caps.parallelStream().map(cap -> simulate(options, workload, cap, warmUpSeconds)).toList());
  }

  /** One simulation of the search. */
  static Trial simulate(
      SimulationOptions options, Supplier<Iterator<Arrival>> workload, int cap, double warmUp) {
    SchedulerConfig config = options.config();
    SchedulerConfig capped =
        new SchedulerConfig(
            config.memory(),
            config.limits(),
            config.preemption(),
            config.cost(),
            config.workload(),
            config.options().with("cap", Integer.toString(cap)));
    SimulationMetrics metrics = new SimulationMetrics(warmUp, Optional.empty());
    SimulationResult result =
        Simulation.run(
            new SimulationOptions(
                SCHEDULER,
                capped,
                options.time(),
                options.semantics(),
                options.declaredOutputTokens()),
            workload.get(),
            metrics);
    return new Trial(cap, metrics.metrics(result, config.memory().blocks()));
  }
}
