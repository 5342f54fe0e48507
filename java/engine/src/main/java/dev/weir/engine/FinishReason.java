package dev.weir.engine;

/** Why a generation ended. */
public enum FinishReason {
  /** An end-of-sequence token or a stop string came. */
  STOP,
  /** The maximum number of tokens was reached. */
  LENGTH,
  /** {@link Generation#cancel()} was called, or the engine was closed before the generation was complete. */
  CANCELLED,
  /** The request's deadline passed. The tokens that were there by then are in the result. */
  DEADLINE
}
