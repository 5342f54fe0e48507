package dev.weir.cli.report;

import java.util.ArrayList;
import java.util.List;

/**
 * Thins the iterations of a run while it runs: of each of at most {@value #MAX_SLICES} slices it
 * keeps the iterations with the fewest and the most tokens in use, and the number of evictions. A
 * slice is a number of iterations that doubles when there are too many. Not thread-safe.
 */
public final class TimelineBuilder {
  private static final int MAX_SLICES = 1_000;

  private record Sample(double time, long used, int running, int waiting) {}

  private record Slice(Sample least, Sample most, double evictedAt, int evictions) {
    Slice join(Slice next) {
      return new Slice(
          next.least.used < least.used ? next.least : least,
          next.most.used > most.used ? next.most : most,
          evictions > 0 ? evictedAt : next.evictedAt,
          evictions + next.evictions);
    }
  }

  private List<Slice> slices = new ArrayList<>();
  private Slice open;
  private int inOpen;
  private int sliceLength = 1;

  /** Begins without an iteration. */
  public TimelineBuilder() {}

  /**
   * Adds an iteration.
   *
   * @param time its end in seconds, not before that of the iteration before
   * @param used KV tokens in use
   * @param running requests that ran
   * @param waiting requests that did not
   * @param evictions requests evicted
   */
  public void add(double time, long used, int running, int waiting, int evictions) {
    Sample sample = new Sample(microseconds(time), used, running, waiting);
    Slice slice = new Slice(sample, sample, sample.time, evictions);
    open = open == null ? slice : open.join(slice);
    inOpen++;
    if (inOpen == sliceLength) {
      slices.add(open);
      open = null;
      inOpen = 0;
      if (slices.size() == MAX_SLICES) {
        halve();
      }
    }
  }

  private void halve() {
    List<Slice> joined = new ArrayList<>();
    for (int i = 0; i < MAX_SLICES; i += 2) {
      joined.add(slices.get(i).join(slices.get(i + 1)));
    }
    slices = joined;
    sliceLength *= 2;
  }

  private List<Slice> all() {
    List<Slice> all = new ArrayList<>(slices);
    if (open != null) {
      all.add(open);
    }
    return all;
  }

  /** The kept iterations in order. */
  public RunChart.Timeline timeline() {
    List<Sample> kept = new ArrayList<>();
    for (Slice slice : all()) {
      boolean risen = slice.least.time <= slice.most.time;
      kept.add(risen ? slice.least : slice.most);
      if (slice.least != slice.most) {
        kept.add(risen ? slice.most : slice.least);
      }
    }
    return new RunChart.Timeline(
        kept.stream().mapToDouble(Sample::time).toArray(),
        kept.stream().mapToLong(Sample::used).toArray(),
        kept.stream().mapToInt(Sample::running).toArray(),
        kept.stream().mapToInt(Sample::waiting).toArray());
  }

  /** One entry for each slice with evictions, at the first of them. */
  public List<RunChart.Eviction> evictions() {
    return all().stream()
        .filter(slice -> slice.evictions > 0)
        .map(slice -> new RunChart.Eviction(slice.evictedAt, slice.evictions))
        .toList();
  }

  /** Enough for a chart, and it keeps the page small. */
  static double microseconds(double seconds) {
    return Math.rint(seconds * 1e6) / 1e6;
  }
}
