package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.MemorySegment;

/** A {@code weir_step_options}, valid until its call is closed. */
public final class NativeStepOptions {
  private static final long MAX_ENTRIES = Layouts.offset(Layouts.STEP_OPTIONS, "max_entries");
  private static final long MAX_TOKENS = Layouts.offset(Layouts.STEP_OPTIONS, "max_tokens");
  private static final long MAX_TOP_LOGPROBS =
      Layouts.offset(Layouts.STEP_OPTIONS, "max_top_logprobs");

  final MemorySegment segment;

  public NativeStepOptions(
      NativeCall call, int maxEntries, int maxTokens, int maxTopLogProbabilities) {
    segment = Layouts.allocate(Layouts.STEP_OPTIONS, call.arena);
    segment.set(JAVA_INT, MAX_ENTRIES, maxEntries);
    segment.set(JAVA_INT, MAX_TOKENS, maxTokens);
    segment.set(JAVA_INT, MAX_TOP_LOGPROBS, maxTopLogProbabilities);
  }
}
