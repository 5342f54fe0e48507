package dev.weir.scheduling;

/** Why a request was not scheduled in an iteration (an entry of the decision log). */
public enum HoldReason {
  /**
   * The iteration already has the largest number of sequences ({@link BatchLimits#maxSequences()}).
   */
  SEQUENCE_LIMIT,
  /** The iteration's token budget ({@link BatchLimits#maxTokens()}) is spent. */
  TOKEN_BUDGET,
  /** Its blocks do not fit into the free part of the KV pool. */
  MEMORY,
  /**
   * It would fit now, but would take memory that is kept back for the growth of resident requests.
   */
  MEMORY_BUFFER,
  /** Too few requests wait at the entrance of its segment or class. */
  THRESHOLD,
  /** Its segment or class already holds as many requests as its threshold allows. */
  SEGMENT_FULL,
  /** Admissions are paced, and the pace does not allow one now. */
  PACING,
  /** The running batch admits nobody before it ends. */
  BATCH_CLOSED
}
