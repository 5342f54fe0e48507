package dev.weir.scheduling;

/** Where a request stands with regard to KV memory. */
public enum RequestState {
  /** Holds no KV memory: new, or evicted by recompute. */
  WAITING,
  /** Holds blocks of the KV pool, whether or not it is scheduled in the current iteration. */
  RESIDENT,
  /** Its blocks are in the host swap space. */
  SWAPPED,
  /** Ended: completed, cancelled or failed. */
  FINISHED
}
