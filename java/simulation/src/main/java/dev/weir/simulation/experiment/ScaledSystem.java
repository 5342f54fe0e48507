package dev.weir.simulation.experiment;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.RequestClass;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import dev.weir.scheduling.Workload;
import dev.weir.scheduling.fluid.NestedWaitThresholds;
import dev.weir.simulation.Arrival;
import dev.weir.simulation.LinearIterationTime;
import dev.weir.simulation.SimulationOptions;
import dev.weir.simulation.SimulationSemantics;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * A policy of the theory (arXiv 2504.11320) with thresholds, at a load, to be simulated up to a
 * horizon at a scale.
 *
 * <p>In our engine the iteration that completes a prompt gives the first token, so a request with
 * prompt {@code p} and output {@code S} takes part in {@code S} iterations, with {@code p} to
 * {@code p + S - 1} tokens. The paper counts {@code S + 1} stages. The load here is that of what
 * runs.
 *
 * @param policy which one
 * @param prompt of every request, in tokens
 * @param ends outputs of the classes in tokens, ascending; for Nested WAIT the segments end there
 * @param shares of the classes among the requests
 * @param thresholds {@code n_j} of each class, or {@code n_k} of each segment
 * @param load arrivals in a full iteration over those that it admits
 */
record ScaledSystem(
    Kind policy,
    int prompt,
    List<Integer> ends,
    List<Double> shares,
    List<Integer> thresholds,
    double load) {
  /** Which policy. */
  enum Kind {
    /** WAIT to the letter. */
    WAIT("wait"),
    /** Nested WAIT to the letter. */
    NESTED_WAIT("nested-wait"),
    /** First come, first served, for comparison. */
    FCFS("fcfs");

    private final String scheduler;

    Kind(String scheduler) {
      this.scheduler = scheduler;
    }
  }

  private static final IterationCost COST = new IterationCost(0.01, 1e-5);
  private static final BatchLimits LIMITS = new BatchLimits(8192, 1 << 20);
  private static final double DELTA = 0.05;

  /** Of strict modes, in seconds, longer than any horizon: nobody is let through before it. */
  private static final String NEVER = "1e12";

  /** Seconds of an iteration in which every stage has its threshold, at scale 1. */
  double fullIteration() {
    double tokens = 0;
    int start = 0;
    for (int j = 0; j < ends.size(); j++) {
      for (int stage = start; stage < ends.get(j); stage++) {
        tokens += thresholds.get(j) * ((double) prompt + stage);
      }
      start = policy == Kind.NESTED_WAIT ? ends.get(j) : 0;
    }
    return COST.seconds(tokens);
  }

  /** Requests a second at scale 1. */
  double rate() {
    int admitted =
        policy == Kind.NESTED_WAIT
            ? thresholds.getFirst()
            : thresholds.stream().mapToInt(Integer::intValue).sum();
    return load * admitted / fullIteration();
  }

  /** {@code Theta*}, output tokens a second at scale 1. */
  double benchmark() {
    double output = 0;
    for (int j = 0; j < ends.size(); j++) {
      output += shares.get(j) * ends.get(j);
    }
    return rate() * output;
  }

  private Workload workload(double zeta) {
    List<RequestClass> classes =
        IntStream.range(0, ends.size())
            .mapToObj(j -> new RequestClass(zeta * rate() * shares.get(j), prompt, ends.get(j)))
            .toList();
    return Workload.of(classes);
  }

  /**
   * Poisson arrivals.
   *
   * @param horizon in seconds at scale 1
   * @param zeta the scale: all times are divided by it
   */
  Iterator<Arrival> arrivals(double horizon, double zeta, RandomGenerator random) {
    double rate = rate();
    return new Iterator<>() {
      private double seconds = random.nextExponential() / rate;

      @Override
      public boolean hasNext() {
        return seconds <= horizon;
      }

      @Override
      public Arrival next() {
        if (!hasNext()) {
          throw new NoSuchElementException();
        }
        double left = random.nextDouble();
        int j = 0;
        while (j + 1 < ends.size() && left >= shares.get(j)) {
          left -= shares.get(j);
          j++;
        }
        Arrival arrival = new Arrival(seconds / zeta, prompt, ends.get(j));
        seconds += random.nextExponential() / rate;
        return arrival;
      }
    };
  }

  /**
   * What is simulated.
   *
   * @param iterations {@code B}, for Nested WAIT's safety buffer
   * @param zeta the scale
   */
  SimulationOptions options(int iterations, double zeta) {
    IterationCost cost =
        new IterationCost(COST.fixedSeconds() / zeta, COST.secondsPerToken() / zeta);
    Workload workload = workload(zeta);
    return new SimulationOptions(
        policy.scheduler,
        new SchedulerConfig(
            memory(iterations, workload, cost),
            LIMITS,
            Preemption.RECOMPUTE,
            cost,
            Optional.of(workload),
            SchedulerOptions.of(settings(iterations))),
        new LinearIterationTime(cost),
        SimulationSemantics.WEIR,
        OptionalInt.of(ends.getLast()));
  }

  private Map<String, String> settings(int iterations) {
    return switch (policy) {
      case FCFS -> Map.of();
      case WAIT -> Map.of("mode", "strict", "thresholds", list(thresholds), "drain", NEVER);
      case NESTED_WAIT ->
          Map.of(
              "mode", "strict",
              "thresholds", list(thresholds),
              "boundaries", list(ends.subList(0, ends.size() - 1)),
              "horizon", String.valueOf(iterations),
              "delta", String.valueOf(DELTA),
              "drain", NEVER);
    };
  }

  private static String list(List<Integer> numbers) {
    return numbers.stream().map(String::valueOf).collect(Collectors.joining(","));
  }

  /** {@code C = M(n)}, for Nested WAIT with the buffer that the horizon asks for. */
  private KvCapacity memory(int iterations, Workload workload, IterationCost cost) {
    double tokens = 0;
    for (int j = 0; j < ends.size(); j++) {
      tokens += thresholds.get(j) * workload.classes().get(j).work();
    }
    if (policy == Kind.NESTED_WAIT) {
      NestedWaitThresholds needed =
          NestedWaitThresholds.of(
              workload,
              cost,
              new KvCapacity(Integer.MAX_VALUE, 1, 0),
              LIMITS,
              new NestedWaitThresholds.Settings(
                  ends.size(),
                  ends.subList(0, ends.size() - 1),
                  OptionalDouble.empty(),
                  iterations,
                  DELTA),
              thresholds.stream().mapToDouble(Integer::doubleValue).toArray());
      tokens = needed.coreTokens() + needed.bufferTokens();
    }
    return new KvCapacity((long) Math.ceil(tokens), 1, 0);
  }
}
