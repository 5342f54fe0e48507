package dev.weir.engine;

import dev.weir.runtime.Sampling;
import dev.weir.runtime.Sequence;
import dev.weir.scheduling.Request;

/**
 * A request between acceptance and end, as the engine's thread keeps it. Owned by that thread once
 * it is submitted.
 */
final class ActiveRequest {
  static final long NO_DEADLINE = Long.MAX_VALUE;

  final Generation generation;
  final Request request;
  final Sampling sampling;
  final boolean ignoreEos;
  final TextStream text;
  final long submittedNanos;

  /** Nanoseconds after {@link #submittedNanos}. */
  final long deadlineNanos;

  /** Prompt and output; the prompt alone before the first iteration. */
  int[] tokens;

  /** Null while no memory is held. */
  Sequence sequence;

  boolean started;
  boolean finished;
  long startedNanos;
  long firstTokenNanos;
  long lastTokenNanos;

  ActiveRequest(
      Generation generation,
      Request request,
      int[] prompt,
      Sampling sampling,
      boolean ignoreEos,
      TextStream text,
      long submittedNanos,
      long deadlineNanos) {
    this.generation = generation;
    this.request = request;
    this.tokens = prompt;
    this.sampling = sampling;
    this.ignoreEos = ignoreEos;
    this.text = text;
    this.submittedNanos = submittedNanos;
    this.deadlineNanos = deadlineNanos;
  }

  boolean expired(long nanoTime) {
    return nanoTime - submittedNanos >= deadlineNanos;
  }
}
