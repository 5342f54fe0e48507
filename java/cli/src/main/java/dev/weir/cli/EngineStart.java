package dev.weir.cli;

import dev.weir.engine.Engine;
import dev.weir.engine.EngineOptions;
import dev.weir.runtime.LoadProgress;
import java.time.Duration;
import java.util.function.Function;

/** Starts an engine, and shows how a model is being loaded where somebody watches and waits. */
final class EngineStart {
  private static final Duration INTERVAL = Duration.ofMillis(100);

  /** A model that is there by then needs no display. */
  private static final Duration PATIENCE = Duration.ofSeconds(1);

  private static final int MIB_SHIFT = 20;

  private EngineStart() {}

  /**
   * Starts an engine.
   *
   * @param showProgress whether the user wants to see progress at all
   */
  static Engine start(EngineOptions options, boolean showProgress) {
    return watch(progress -> Engine.start(options, progress), showProgress);
  }

  /**
   * Loads a model.
   *
   * @param load does it, and fills what it is given
   * @param showProgress whether the user wants to see progress at all
   */
  static <T> T watch(Function<LoadProgress, T> load, boolean showProgress) {
    LoadProgress progress = new LoadProgress();
    if (!showProgress || !ProgressDisplay.watched()) {
      return load.apply(progress);
    }
    Thread display = Thread.ofVirtual().start(() -> show(progress));
    try {
      return load.apply(progress);
    } finally {
      display.interrupt();
      try {
        display.join();
      } catch (InterruptedException _) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Until it is interrupted. */
  private static void show(LoadProgress progress) {
    try {
      Thread.sleep(PATIENCE);
      while (progress.total() == 0) {
        Thread.sleep(INTERVAL);
      }
      long shown = 0;
      try (ProgressDisplay display =
          ProgressDisplay.start("loading", progress.total() >> MIB_SHIFT, "MiB")) {
        while (true) {
          Thread.sleep(INTERVAL);
          long done = progress.done() >> MIB_SHIFT;
          display.add(done - shown);
          shown = done;
        }
      }
    } catch (InterruptedException _) {
      // The model is there.
    }
  }
}
