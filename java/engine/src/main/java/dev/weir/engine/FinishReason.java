package dev.weir.engine;

/** Why a generation ended. */
public enum FinishReason {
  /**
   * A token that ends a sequence or a stop string came; see {@link
   * GenerationRequest.Builder#ignoreEos}.
   */
  STOP,
  /** The maximum number of tokens was reached. */
  LENGTH,
  /**
   * {@link Generation#cancel()} was called, or the engine was closed before the generation was
   * complete.
   */
  CANCELLED,
  /** The request's deadline passed. The result has the tokens that were there by then. */
  DEADLINE
}
