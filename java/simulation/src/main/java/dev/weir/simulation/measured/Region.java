package dev.weir.simulation.measured;

import dev.weir.simulation.BatchShape;

/** What the requests of a batch do. */
public enum Region {
  /** All decode. */
  DECODE,
  /** All prefill. */
  PREFILL,
  /** Some decode and some prefill. */
  MIXED;

  /** That of a batch. */
  public static Region of(BatchShape batch) {
    if (batch.prefills() == 0) {
      return DECODE;
    }
    return batch.decodes() == 0 ? PREFILL : MIXED;
  }
}
