package dev.weir.engine;

/** Why {@link Engine#submit} refused a request. */
public enum RejectionReason {
  /**
   * As many accepted requests as {@link EngineOptions#queueCapacity()} allows wait for their first
   * iteration.
   */
  QUEUE_FULL,
  /** The prompt has no token. */
  EMPTY_PROMPT,
  /** Prompt and output together exceed the model's context length. */
  EXCEEDS_CONTEXT,
  /**
   * Prompt and output together exceed the whole KV pool, so that the request could never be
   * completed.
   */
  EXCEEDS_KV_CAPACITY,
  /** A prompt id is negative or not in the model's vocabulary. */
  INVALID_TOKEN,
  /** A parameter is out of its range, or not a number. */
  INVALID_PARAMETER,
  /** The prompt is not well-formed Unicode. */
  MALFORMED_TEXT,
  /** The prompt is text, or stop strings are given, and the model folder has no tokenizer. */
  NO_TOKENIZER,
  /** The engine is closing or closed. */
  CLOSED,
  /** The engine failed; see {@link RejectedRequestException#getCause()}. */
  ENGINE_FAILED
}
