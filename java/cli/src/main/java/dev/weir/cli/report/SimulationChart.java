package dev.weir.cli.report;

import dev.weir.scheduling.KvCapacity;
import dev.weir.simulation.Arrival;
import dev.weir.simulation.SimulatedIteration;
import dev.weir.simulation.SimulatedRequest;
import dev.weir.simulation.SimulationListener;
import dev.weir.simulation.metrics.Metrics;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Keeps of a simulation what the page shows of it, while it runs: the same amount of memory however
 * long it is. Times count from the first arrival. Not thread-safe.
 */
public final class SimulationChart implements SimulationListener {
  private static final int MAX_SAMPLES = 512;
  private static final String BUFFER_GAUGE = "safety_buffer_blocks";
  private static final Pattern SEGMENT_GAUGE =
      Pattern.compile("segment_(occupancy|capacity|waiting|threshold)\\{segment=\"(\\d+)\"}");

  private final KvCapacity memory;
  private final TimelineBuilder timeline = new TimelineBuilder();
  private final List<Life> lives = new ArrayList<>();

  /** Samples of the gauges, every so many iterations; one more name makes a new list. */
  private final Map<String, List<Double>> gauges = new TreeMap<>();

  private List<Double> sampledAt = new ArrayList<>();
  private int sampleEvery = 1;
  private long bufferBlocks;

  private double start = Double.NaN;
  private double now;
  private long arrived;
  private long evictedRequests;
  private long predictions;
  private double predictionSum;
  private double highestPrediction;

  private static final class Life {
    private final long index;
    private final double arrival;
    private SimulatedRequest request;
    private final List<double[]> evicted = new ArrayList<>();
    private boolean out;

    Life(long index, double arrival) {
      this.index = index;
      this.arrival = arrival;
    }
  }

  /**
   * @param memory the KV pool
   */
  public SimulationChart(KvCapacity memory) {
    this.memory = memory;
  }

  private double since(double time) {
    return TimelineBuilder.microseconds(time - start);
  }

  private Life life(long index) {
    return index < lives.size() ? lives.get((int) index) : null;
  }

  private Life begin(long index, Arrival arrival) {
    if (Double.isNaN(start)) {
      start = arrival.seconds();
    }
    arrived++;
    if (index >= RunChart.MAX_REQUESTS) {
      return null;
    }
    Life life = new Life(index, since(arrival.seconds()));
    lives.add(life);
    return life;
  }

  @Override
  public void arrived(SimulatedRequest request) {
    Life life = begin(request.index(), request.arrival());
    if (life != null) {
      life.request = request;
    }
  }

  @Override
  public void refused(long index, Arrival arrival, String reason) {
    begin(index, arrival);
  }

  @Override
  public void planned(double time) {
    now = time;
  }

  @Override
  public void evicted(SimulatedRequest request) {
    Life life = life(request.index());
    if (life != null && !life.out) {
      life.out = true;
      life.evicted.add(new double[] {since(now), Double.NaN});
    }
  }

  @Override
  public void predicted(SimulatedRequest request, double overflowProbability) {
    predictions++;
    predictionSum += overflowProbability;
    highestPrediction = Math.max(highestPrediction, overflowProbability);
  }

  @Override
  public void iterated(SimulatedIteration iteration) {
    now = iteration.end();
    int running = iteration.batch().requests();
    timeline.add(
        since(iteration.end()),
        iteration.usedBlocks() * memory.blockSize(),
        running,
        iteration.alive() - running,
        iteration.evictions());
    if (iteration.index() % sampleEvery == 0) {
      sample(iteration);
    }
  }

  private void sample(SimulatedIteration iteration) {
    if (sampledAt.size() == MAX_SAMPLES) {
      sampledAt = everySecond(sampledAt);
      gauges.replaceAll((name, values) -> everySecond(values));
      sampleEvery *= 2;
      if (iteration.index() % sampleEvery != 0) {
        return;
      }
    }
    sampledAt.add(since(iteration.end()));
    iteration.gauges(
        (name, value) -> {
          if (name.equals(BUFFER_GAUGE)) {
            bufferBlocks = Math.round(value);
          } else if (name.startsWith("segment_")) {
            List<Double> values = gauges.computeIfAbsent(name, _ -> new ArrayList<>());
            // A segment that was not there before was empty.
            while (values.size() < sampledAt.size() - 1) {
              values.add(0.0);
            }
            values.add(value);
          }
        });
    for (List<Double> values : gauges.values()) {
      if (values.size() < sampledAt.size()) {
        values.add(0.0);
      }
    }
  }

  private static List<Double> everySecond(List<Double> values) {
    List<Double> kept = new ArrayList<>();
    for (int i = 0; i < values.size(); i += 2) {
      kept.add(values.get(i));
    }
    return kept;
  }

  @Override
  public void generated(SimulatedRequest request, double gap) {
    Life life = life(request.index());
    if (life != null && life.out) {
      life.out = false;
      life.evicted.getLast()[1] = since(now);
    }
  }

  @Override
  public void completed(SimulatedRequest request) {
    if (request.evictions() > 0) {
      evictedRequests++;
    }
  }

  /**
   * What is to be shown, once the simulation has ended.
   *
   * @param name the scheduler, with its settings
   * @param metrics its figures
   * @param equilibriumTokens KV tokens in use in the fluid equilibrium, if there is one below the
   *     capacity
   */
  public RunChart chart(String name, Metrics metrics, OptionalDouble equilibriumTokens) {
    return new RunChart(
        name,
        RunCharts.memoryText(metrics),
        RunCharts.evictedText(evictedRequests, arrived),
        since(now),
        memory.tokens(),
        bufferBlocks > 0 ? (double) bufferBlocks * memory.blockSize() : null,
        equilibriumTokens.isPresent() ? equilibriumTokens.getAsDouble() : null,
        timeline.timeline(),
        timeline.evictions(),
        lives.stream().map(this::bar).toList(),
        segments(),
        HoldText.of(metrics.holds()),
        predictions == 0
            ? null
            : Format.count(predictions)
                + " admissions with a predicted overflow probability: "
                + Format.percent(predictionSum / predictions)
                + " on average, at most "
                + Format.percent(highestPrediction));
  }

  private RunChart.Bar bar(Life life) {
    if (life.request == null) {
      return new RunChart.Bar(life.index, life.arrival, life.arrival, null, null, List.of());
    }
    return new RunChart.Bar(
        life.index,
        life.arrival,
        since(life.request.scheduledAt()),
        since(life.request.firstTokenAt()),
        since(life.request.completedAt()),
        life.evicted);
  }

  private List<RunChart.Segment> segments() {
    Map<Integer, Map<String, List<Double>>> byNumber = new TreeMap<>();
    gauges.forEach(
        (name, values) -> {
          Matcher matcher = SEGMENT_GAUGE.matcher(name);
          if (matcher.matches()) {
            byNumber
                .computeIfAbsent(Integer.parseInt(matcher.group(2)), _ -> new TreeMap<>())
                .put(matcher.group(1), values);
          }
        });
    List<RunChart.Segment> segments = new ArrayList<>();
    byNumber.forEach(
        (number, series) ->
            segments.add(
                new RunChart.Segment(
                    number,
                    sampledAt,
                    series.getOrDefault("occupancy", List.of()),
                    series.getOrDefault("capacity", List.of()),
                    series.getOrDefault("waiting", List.of()),
                    series.getOrDefault("threshold", List.of()))));
    return segments;
  }
}
