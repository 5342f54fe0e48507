package dev.weir.simulation;

import dev.weir.scheduling.Scheduler;
import java.util.function.ObjDoubleConsumer;

/** The figures of one iteration; filled again for the next one. Times in seconds. */
public final class SimulatedIteration {
  long index;
  double start;
  double end;
  long usedBlocks;
  int evictions;
  int alive;
  final BatchShape batch = new BatchShape();

  private final Scheduler scheduler;

  SimulatedIteration(Scheduler scheduler) {
    this.scheduler = scheduler;
  }

  /** Number of iterations before. */
  public long index() {
    return index;
  }

  /** When it started. */
  public double start() {
    return start;
  }

  /** When it ended. */
  public double end() {
    return end;
  }

  /** Its batch. */
  public BatchShape batch() {
    return batch;
  }

  /** KV blocks in use while it ran. */
  public long usedBlocks() {
    return usedBlocks;
  }

  /** Requests evicted for it. */
  public int evictions() {
    return evictions;
  }

  /** Requests that had arrived and not ended when it started. */
  public int alive() {
    return alive;
  }

  /** The scheduler's own figures now, by name; see {@link Scheduler#gauges}. */
  public void gauges(ObjDoubleConsumer<String> sink) {
    scheduler.gauges(sink);
  }
}
