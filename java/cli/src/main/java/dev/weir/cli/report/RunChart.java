package dev.weir.cli.report;

import java.util.List;

/**
 * What the page shows of a run, as its script reads it. Times in seconds. Null stands for what
 * there is none of.
 *
 * @param name the scheduler, with its settings
 * @param text one sentence about its memory
 * @param ganttText one sentence about its requests
 * @param seconds length of the run
 * @param capacityTokens KV tokens that the pool holds
 * @param bufferTokens KV tokens that the scheduler keeps free against overflow
 * @param equilibriumTokens KV tokens in use in the fluid equilibrium, if there is one below the
 *     capacity
 * @param timeline iterations, thinned
 * @param evictions iterations with evictions, thinned
 * @param requests the first requests
 * @param segments what the scheduler said of its segments over time
 * @param holds why requests were not scheduled
 * @param predictions what the scheduler predicted of its admissions
 */
public record RunChart(
    String name,
    String text,
    String ganttText,
    double seconds,
    long capacityTokens,
    Double bufferTokens,
    Double equilibriumTokens,
    Timeline timeline,
    List<Eviction> evictions,
    List<Bar> requests,
    List<Segment> segments,
    List<Hold> holds,
    String predictions) {
  /** Bars of a Gantt chart that a screen can show. */
  public static final int MAX_REQUESTS = 200;

  /** Copies the lists. */
  public RunChart {
    evictions = List.copyOf(evictions);
    requests = List.copyOf(requests);
    segments = List.copyOf(segments);
    holds = List.copyOf(holds);
  }

  /**
   * Iterations.
   *
   * @param t when they ended
   * @param used KV tokens in use
   * @param running requests that ran
   * @param waiting requests that did not
   */
  public record Timeline(double[] t, long[] used, int[] running, int[] waiting) {}

  /**
   * Evictions at a time.
   *
   * @param t when
   * @param n how many
   */
  public record Eviction(double t, int n) {}

  /**
   * The life of a request.
   *
   * @param index position in the workload
   * @param arrival when it was due
   * @param scheduled when it entered
   * @param firstToken when its first token was there
   * @param end when its last token was there
   * @param evicted from when to when it was out again
   */
  public record Bar(
      long index,
      double arrival,
      double scheduled,
      Double firstToken,
      Double end,
      List<double[]> evicted) {}

  /**
   * A segment over time; the lists are as long as {@code t}, or empty if the scheduler does not
   * say.
   *
   * @param segment its number, from 1
   * @param t when it was asked
   * @param occupancy requests in it
   * @param capacity how many there may be
   * @param queue requests that wait at its entrance
   * @param threshold how many make it fire
   */
  public record Segment(
      int segment,
      List<Double> t,
      List<Double> occupancy,
      List<Double> capacity,
      List<Double> queue,
      List<Double> threshold) {}

  /**
   * A reason for which requests were not scheduled.
   *
   * @param reason its name
   * @param text what it means
   * @param count entries of the decision log
   */
  public record Hold(String reason, String text, long count) {}
}
