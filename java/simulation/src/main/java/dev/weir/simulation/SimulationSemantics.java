package dev.weir.simulation;

/**
 * Whose rules the simulator follows where ours and those of Microsoft's simulator Vidur differ. The
 * README of this module lists the differences, which are in the schedulers, too (their option
 * {@code semantics}).
 */
public enum SimulationSemantics {
  /**
   * A request that is evicted prefills its prompt and all generated tokens again. After a plan that
   * only evicts, the scheduler is asked again at once.
   */
  WEIR,
  /**
   * A request that is evicted in the middle of its prompt prefills what was done before, and
   * computes the rest of the prompt token by token, as decoding. After a plan that only evicts,
   * nothing happens before the next arrival.
   */
  VIDUR
}
