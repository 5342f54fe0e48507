package dev.weir.simulation.metrics;

import dev.weir.scheduling.HoldReason;
import dev.weir.simulation.Arrival;
import dev.weir.simulation.SimulatedIteration;
import dev.weir.simulation.SimulatedRequest;
import dev.weir.simulation.SimulationListener;
import dev.weir.simulation.SimulationResult;
import java.util.EnumMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.HdrHistogram.Histogram;

/**
 * Condenses a simulation while it runs, so that it takes the same memory however long the workload
 * is.
 */
public final class SimulationMetrics implements SimulationListener {
  private static final double NANOS = 1e9;

  private final Histogram timeToFirstToken = new Histogram(3);
  private final Histogram timePerOutputToken = new Histogram(3);
  private final Histogram interTokenLatency = new Histogram(3);
  private final Histogram endToEnd = new Histogram(3);

  /** Most gaps in an iteration are the same, so they are counted before they are recorded. */
  private double lastGap;

  private long lastGapCount;

  /** By ordinal of the reason. */
  private final long[] holds = new long[HoldReason.values().length];

  private final BacklogSeries backlog = new BacklogSeries();
  private final double warmUpSeconds;
  private final Optional<ServiceObjectives> objectives;

  private long promptTokens;
  private long outputTokens;
  private long generated;
  private long generatedBeforeIteration;
  private long generatedInWarmUp;
  private long generatedInWindow;
  private long good;
  private long goodBeforeIteration;
  private long goodInWarmUp;
  private long goodInWindow;
  private double firstArrival = Double.NaN;
  private double iterationEnd = Double.NEGATIVE_INFINITY;
  private double blockSeconds;
  private long peakBlocks;

  /** Without warm-up and objectives. */
  public SimulationMetrics() {
    this(0, Optional.empty());
  }

  /**
   * @param warmUpSeconds time after the first arrival that throughput and goodput leave out: in
   *     overload a run that begins empty needs a while to fill the memory. Latencies, evictions and
   *     recomputed tokens are those of all requests
   * @param objectives what counts as goodput
   */
  public SimulationMetrics(double warmUpSeconds, Optional<ServiceObjectives> objectives) {
    if (!(warmUpSeconds >= 0) || Double.isInfinite(warmUpSeconds)) {
      throw new IllegalArgumentException(
          "warmUpSeconds is " + warmUpSeconds + ", must be finite and at least 0");
    }
    this.warmUpSeconds = warmUpSeconds;
    this.objectives = Objects.requireNonNull(objectives, "objectives");
  }

  @Override
  public void arrived(SimulatedRequest request) {
    noteArrival(request.arrival());
    backlog.add(request.arrival().seconds(), 1);
  }

  @Override
  public void refused(long index, Arrival arrival, String reason) {
    noteArrival(arrival);
  }

  /** The window ends with the last arrival; tokens of an iteration that ends later are outside. */
  private void noteArrival(Arrival arrival) {
    if (Double.isNaN(firstArrival)) {
      firstArrival = arrival.seconds();
    }
    boolean outside = iterationEnd > arrival.seconds();
    generatedInWindow = outside ? generatedBeforeIteration : generated;
    goodInWindow = outside ? goodBeforeIteration : good;
  }

  private boolean warmingUp() {
    return iterationEnd <= firstArrival + warmUpSeconds;
  }

  @Override
  public void held(SimulatedRequest request, HoldReason reason) {
    holds[reason.ordinal()]++;
  }

  @Override
  public void iterated(SimulatedIteration iteration) {
    generatedBeforeIteration = generated;
    goodBeforeIteration = good;
    iterationEnd = iteration.end();
    blockSeconds += iteration.usedBlocks() * (iteration.end() - iteration.start());
    peakBlocks = Math.max(peakBlocks, iteration.usedBlocks());
  }

  @Override
  public void generated(SimulatedRequest request, double gap) {
    generated++;
    if (warmingUp()) {
      generatedInWarmUp++;
    }
    if (request.generatedTokens() == 1) {
      timeToFirstToken.recordValue(nanoseconds(gap));
      return;
    }
    if (gap != lastGap) {
      flushGaps();
      lastGap = gap;
    }
    lastGapCount++;
  }

  private void flushGaps() {
    if (lastGapCount > 0) {
      interTokenLatency.recordValueWithCount(nanoseconds(lastGap), lastGapCount);
      lastGapCount = 0;
    }
  }

  @Override
  public void completed(SimulatedRequest request) {
    Arrival arrival = request.arrival();
    promptTokens += arrival.promptTokens();
    outputTokens += arrival.outputTokens();
    endToEnd.recordValue(nanoseconds(request.completedAt() - arrival.seconds()));
    double perToken = 0;
    if (arrival.outputTokens() > 1) {
      double decoding = request.completedAt() - request.firstTokenAt();
      perToken = decoding / (arrival.outputTokens() - 1);
      timePerOutputToken.recordValue(nanoseconds(perToken));
    }
    backlog.add(request.completedAt(), -1);
    if (objectives.isPresent()
        && objectives.get().met(request.firstTokenAt() - arrival.seconds(), perToken)) {
      good++;
      if (warmingUp()) {
        goodInWarmUp++;
      }
    }
  }

  private Map<HoldReason, Long> holdsByReason() {
    Map<HoldReason, Long> byReason = new EnumMap<>(HoldReason.class);
    for (HoldReason reason : HoldReason.values()) {
      if (holds[reason.ordinal()] > 0) {
        byReason.put(reason, holds[reason.ordinal()]);
      }
    }
    return byReason;
  }

  private static long nanoseconds(double seconds) {
    return Math.round(seconds * NANOS);
  }

  /**
   * The figures, once the simulation has ended.
   *
   * @param kvBlocks size of the pool
   */
  public Metrics metrics(SimulationResult result, long kvBlocks) {
    flushGaps();
    double seconds = result.end() - result.firstArrival();
    double window = result.lastArrival() - result.firstArrival();
    double measured = window - warmUpSeconds;
    boolean measurable = measured > 0;
    int finished = Math.toIntExact(result.arrived());
    int refused = Math.toIntExact(result.refused());
    return new Metrics(
        finished + refused,
        finished,
        0,
        refused == 0 ? Map.of() : Map.of("TOO_LONG", refused),
        Map.of(),
        seconds,
        promptTokens,
        outputTokens,
        promptTokens / seconds,
        outputTokens / seconds,
        measurable ? (generatedInWindow - generatedInWarmUp) / measured : Double.NaN,
        finished / seconds,
        measurable && objectives.isPresent()
            ? (goodInWindow - goodInWarmUp) / measured
            : Double.NaN,
        backlog.trend(result.firstArrival(), result.lastArrival()),
        Percentiles.of(timeToFirstToken),
        Percentiles.of(timePerOutputToken),
        Percentiles.of(interTokenLatency),
        Percentiles.of(endToEnd),
        Math.toIntExact(result.iterations()),
        Math.clamp(1 - result.busySeconds() / seconds, 0, 1),
        result.evictions(),
        holdsByReason(),
        result.recomputedTokens(),
        result.recomputedTokens() / (double) (promptTokens + outputTokens),
        blockSeconds / (seconds * kvBlocks),
        peakBlocks / (double) kvBlocks);
  }
}
