package dev.weir.engine;

import dev.weir.runtime.Sampling;
import dev.weir.runtime.Sequence;
import dev.weir.scheduling.Request;
import java.util.Arrays;

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
  long startedNanos;
  long firstTokenNanos;
  private long[] evictionNanos = {};
  private int evictions;

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

  void evicted(long nanoTime) {
    if (evictions == evictionNanos.length) {
      evictionNanos = Arrays.copyOf(evictionNanos, 2 * evictions + 1);
    }
    evictionNanos[evictions++] = nanoTime;
  }

  long[] evictionNanoTimes() {
    return Arrays.copyOf(evictionNanos, evictions);
  }

  boolean expired(long nanoTime) {
    return nanoTime - submittedNanos >= deadlineNanos;
  }
}
