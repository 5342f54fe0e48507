package dev.weir.engine;

/** Watches the iterations of an {@link Engine}, for plots and metrics. */
@FunctionalInterface
public interface EngineListener {

  /**
   * Called once after each iteration, on the engine's thread: it has to be quick and must not wait
   * for a generation. The event is used again for the next iteration; copy what you want to keep. A
   * listener that throws is removed, and the exception is logged.
   */
  void iteration(IterationEvent event);
}
