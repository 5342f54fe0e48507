package dev.weir.simulation.experiment;

import dev.weir.simulation.Arrival;
import dev.weir.simulation.Simulation;
import dev.weir.simulation.SimulationListener;
import dev.weir.simulation.SimulationOptions;
import dev.weir.simulation.SimulationResult;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * What an experiment works with: how much to simulate, the data, and threads. Thread-safe.
 *
 * <p>Progress is counted in simulations: an experiment says with {@link #plan} how many will run,
 * and {@link #simulate} counts each.
 */
public final class ExperimentContext {
  private final int seeds;
  private final double scale;
  private final ExperimentData data;
  private final int threads;
  private final Progress progress;

  /**
   * @param seeds independent repetitions, at least 1; confidence intervals need 2
   * @param scale length of the simulations relative to the usual one, greater than 0
   * @param threads simulations at a time, at least 1
   */
  public ExperimentContext(
      int seeds, double scale, ExperimentData data, int threads, Progress progress) {
    if (seeds < 1) {
      throw new IllegalArgumentException("seeds is " + seeds + ", must be at least 1");
    }
    if (!(scale > 0) || Double.isInfinite(scale)) {
      throw new IllegalArgumentException(
          "scale is " + scale + ", must be finite and greater than 0");
    }
    if (threads < 1) {
      throw new IllegalArgumentException("threads is " + threads + ", must be at least 1");
    }
    this.seeds = seeds;
    this.scale = scale;
    this.data = Objects.requireNonNull(data, "data");
    this.threads = threads;
    this.progress = Objects.requireNonNull(progress, "progress");
  }

  /** Independent repetitions. */
  public int seeds() {
    return seeds;
  }

  /**
   * The seeds themselves: 1, 2, 3... The same for every policy, so that all serve the same load.
   */
  public List<Long> seedList() {
    return IntStream.rangeClosed(1, seeds).mapToObj(Long::valueOf).toList();
  }

  /** Length of the simulations relative to the usual one. */
  public double scale() {
    return scale;
  }

  /**
   * A number of requests, scaled.
   *
   * @param usual at scale 1
   * @param least whatever the scale
   */
  public int scaled(int usual, int least) {
    return Math.clamp(Math.round(usual * scale), least, Integer.MAX_VALUE);
  }

  /** Lengths and traces. */
  public ExperimentData data() {
    return data;
  }

  /** So many more simulations will run. */
  public void plan(long simulations) {
    progress.planned(simulations);
  }

  /** So many of the planned simulations are not needed, or ran without {@link #simulate}. */
  public void skip(long simulations) {
    progress.finished(simulations);
  }

  /**
   * Runs one simulation and counts it.
   *
   * @throws IllegalArgumentException if the scheduler refuses the configuration
   * @throws dev.weir.simulation.StalledException if the scheduler lets requests wait forever
   */
  public SimulationResult simulate(
      SimulationOptions options, Iterator<Arrival> arrivals, SimulationListener listener) {
    try {
      return Simulation.run(options, arrivals, listener);
    } finally {
      progress.finished(1);
    }
  }

  /**
   * Does the work for every task, several at a time. Not to be called from within the work.
   *
   * @param work must not depend on the order in which tasks run
   * @return one result for each task, in the order of the tasks
   */
  public <T, R> List<R> map(Collection<T> tasks, Function<? super T, R> work) {
    List<R> results = new ArrayList<>(tasks.size());
    try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
      List<Future<R>> futures = new ArrayList<>(tasks.size());
      for (T task : tasks) {
        futures.add(pool.submit(() -> work.apply(task)));
      }
      boolean complete = false;
      try {
        for (Future<R> future : futures) {
          results.add(future.get());
        }
        complete = true;
      } finally {
        if (!complete) {
          futures.forEach(future -> future.cancel(true));
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted in the middle of an experiment", e);
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        default -> throw new IllegalStateException(e.getCause());
      }
    }
    return results;
  }
}
