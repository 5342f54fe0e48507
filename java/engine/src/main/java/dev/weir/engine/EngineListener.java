package dev.weir.engine;

/**
 * Watches an {@link Engine}, for plots and metrics.
 *
 * <p>All methods but {@link #refused} are called on the engine's thread, one after the other and in
 * the order in which things happen: they have to be quick and must not wait for a generation. Only
 * if a device does not return from an iteration ({@link EngineOptions#stepTimeout()}), another
 * thread tells of the requests that end by it. A listener that throws is removed, and the exception
 * is logged.
 */
@FunctionalInterface
public interface EngineListener {

  /**
   * Called once after each iteration. The event is used again for the next iteration; copy what you
   * want to keep.
   */
  void iteration(IterationEvent event);

  /** A request that was accepted goes to the scheduler. */
  default void arrived(RequestArrival arrival) {}

  /**
   * A request has ended, whatever the reason. Of a request that ended with an iteration this
   * follows {@link #iteration}.
   */
  default void ended(RequestEnd end) {}

  /**
   * A request was refused. Called on the thread that submitted it, so perhaps by several at once.
   *
   * @param time seconds since the engine was started
   */
  default void refused(double time, RejectionReason reason) {}
}
