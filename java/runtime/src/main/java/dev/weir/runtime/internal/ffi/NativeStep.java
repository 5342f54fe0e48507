package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A {@code weir_step} with its buffers, which are native memory that both sides read and write in
 * place.
 *
 * <p>The views of the buffers belong to an arena that is closed before the native step is: an
 * access that comes too late, from whichever thread, throws {@link IllegalStateException} and never
 * touches freed memory. The report and the error live outside that arena, so that closing the views
 * does not have to wait for a call that is under way.
 */
public final class NativeStep {
  static final int ENTRY_SAMPLE = 1;

  private static final long REPORT_ENTRIES = Layouts.offset(Layouts.STEP_REPORT, "entries");
  private static final long REPORT_TOKENS = Layouts.offset(Layouts.STEP_REPORT, "tokens");
  private static final long REPORT_BLOCKS_TAKEN =
      Layouts.offset(Layouts.STEP_REPORT, "blocks_taken");
  private static final long REPORT_COPIED_ON_WRITE =
      Layouts.offset(Layouts.STEP_REPORT, "copied_on_write");
  private static final long REPORT_NANOSECONDS = Layouts.offset(Layouts.STEP_REPORT, "nanoseconds");

  private final long handle;
  private final Arena views = Arena.ofShared();
  private final MemorySegment report = Layouts.allocate(Layouts.STEP_REPORT, Arena.ofAuto());
  private final NativeError error = new NativeError(Arena.ofAuto());

  private final int maxEntries;
  private final int maxTokens;
  private final int maxTopLogProbabilities;
  private final MemorySegment sequences;
  private final MemorySegment tokenCounts;
  private final MemorySegment tokens;
  private final MemorySegment flags;
  private final MemorySegment temperatures;
  private final MemorySegment topK;
  private final MemorySegment topP;
  private final MemorySegment repetitionPenalties;
  private final MemorySegment seeds;
  private final MemorySegment topLogProbabilities;
  private final MemorySegment sampledTokens;
  private final MemorySegment sampledLogProbabilities;
  private final MemorySegment topTokens;
  private final MemorySegment topTokenLogProbabilities;

  private MemorySegment logits = MemorySegment.NULL;

  /** The step {@code handle} with the buffers that {@link #buffers} described in {@code call}. */
  public NativeStep(long handle, Buffers buffers) {
    this.handle = handle;
    MemorySegment struct = buffers.segment;
    maxEntries = struct.get(JAVA_INT, Layouts.offset(Layouts.STEP_BUFFERS, "max_entries"));
    maxTokens = struct.get(JAVA_INT, Layouts.offset(Layouts.STEP_BUFFERS, "max_tokens"));
    maxTopLogProbabilities =
        struct.get(JAVA_INT, Layouts.offset(Layouts.STEP_BUFFERS, "max_top_logprobs"));
    long tops = (long) maxEntries * maxTopLogProbabilities;
    sequences = view(struct, "sequences", maxEntries, JAVA_LONG);
    tokenCounts = view(struct, "token_counts", maxEntries, JAVA_INT);
    tokens = view(struct, "tokens", maxTokens, JAVA_INT);
    flags = view(struct, "flags", maxEntries, JAVA_INT);
    temperatures = view(struct, "temperatures", maxEntries, JAVA_FLOAT);
    topK = view(struct, "top_k", maxEntries, JAVA_INT);
    topP = view(struct, "top_p", maxEntries, JAVA_FLOAT);
    repetitionPenalties = view(struct, "repetition_penalties", maxEntries, JAVA_FLOAT);
    seeds = view(struct, "seeds", maxEntries, JAVA_LONG);
    topLogProbabilities = view(struct, "top_logprobs", maxEntries, JAVA_INT);
    sampledTokens = view(struct, "sampled_tokens", maxEntries, JAVA_INT);
    sampledLogProbabilities = view(struct, "sampled_logprobs", maxEntries, JAVA_FLOAT);
    topTokens = view(struct, "top_tokens", tops, JAVA_INT);
    topTokenLogProbabilities = view(struct, "top_token_logprobs", tops, JAVA_FLOAT);
  }

  /** A {@code weir_step_buffers}, valid until its call is closed. */
  public static final class Buffers {
    private final MemorySegment segment;

    public Buffers(NativeCall call) {
      segment = Layouts.allocate(Layouts.STEP_BUFFERS, call.arena);
    }
  }

  public static int create(NativeCall call, long cache, NativeStepOptions options) {
    try {
      return (int)
          Functions.STEP_CREATE.invokeExact(
              cache, options.segment, call.result, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  public static int buffers(NativeCall call, long step, Buffers buffers) {
    try {
      return (int)
          Functions.STEP_BUFFERS_GET.invokeExact(step, buffers.segment, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  public static int close(NativeCall call, long step) {
    try {
      return (int) Functions.STEP_CLOSE.invokeExact(step, call.error().segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  public long handle() {
    return handle;
  }

  public int maxEntries() {
    return maxEntries;
  }

  public int maxTokens() {
    return maxTokens;
  }

  public int maxTopLogProbabilities() {
    return maxTopLogProbabilities;
  }

  /** Of {@link #run} and {@link #logits}. */
  public NativeError error() {
    return error;
  }

  /** Describes entry {@code entry}, which samples nothing until {@link #sample} says so. */
  public void entry(int entry, long sequence, int tokenCount) {
    sequences.setAtIndex(JAVA_LONG, entry, sequence);
    tokenCounts.setAtIndex(JAVA_INT, entry, tokenCount);
    flags.setAtIndex(JAVA_INT, entry, 0);
    temperatures.setAtIndex(JAVA_FLOAT, entry, 0);
    topK.setAtIndex(JAVA_INT, entry, 0);
    topP.setAtIndex(JAVA_FLOAT, entry, 1);
    repetitionPenalties.setAtIndex(JAVA_FLOAT, entry, 1);
    seeds.setAtIndex(JAVA_LONG, entry, 0);
    topLogProbabilities.setAtIndex(JAVA_INT, entry, 0);
  }

  public void token(int position, int token) {
    tokens.setAtIndex(JAVA_INT, position, token);
  }

  public void tokens(int position, int[] source, int offset, int count) {
    MemorySegment.copy(source, offset, tokens, JAVA_INT, (long) position * Integer.BYTES, count);
  }

  public void sample(
      int entry,
      float temperature,
      int k,
      float p,
      float repetitionPenalty,
      long seed,
      int logProbabilities) {
    flags.setAtIndex(JAVA_INT, entry, ENTRY_SAMPLE);
    temperatures.setAtIndex(JAVA_FLOAT, entry, temperature);
    topK.setAtIndex(JAVA_INT, entry, k);
    topP.setAtIndex(JAVA_FLOAT, entry, p);
    repetitionPenalties.setAtIndex(JAVA_FLOAT, entry, repetitionPenalty);
    seeds.setAtIndex(JAVA_LONG, entry, seed);
    topLogProbabilities.setAtIndex(JAVA_INT, entry, logProbabilities);
  }

  public int run(int entries) {
    try {
      return (int) Functions.STEP_RUN.invokeExact(handle, entries, report, error.segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  public int reportedEntries() {
    return report.get(JAVA_INT, REPORT_ENTRIES);
  }

  public int reportedTokens() {
    return report.get(JAVA_INT, REPORT_TOKENS);
  }

  public long reportedBlocksTaken() {
    return report.get(JAVA_LONG, REPORT_BLOCKS_TAKEN);
  }

  public long reportedCopiedOnWrite() {
    return report.get(JAVA_LONG, REPORT_COPIED_ON_WRITE);
  }

  public long reportedNanoseconds() {
    return report.get(JAVA_LONG, REPORT_NANOSECONDS);
  }

  public int sampledToken(int entry) {
    return sampledTokens.getAtIndex(JAVA_INT, entry);
  }

  public float sampledLogProbability(int entry) {
    return sampledLogProbabilities.getAtIndex(JAVA_FLOAT, entry);
  }

  /** How many most likely tokens {@link #sample} asked for. */
  public int requestedLogProbabilities(int entry) {
    return topLogProbabilities.getAtIndex(JAVA_INT, entry);
  }

  public int topToken(int entry, int rank) {
    return topTokens.getAtIndex(JAVA_INT, (long) entry * maxTopLogProbabilities + rank);
  }

  public float topLogProbability(int entry, int rank) {
    return topTokenLogProbabilities.getAtIndex(
        JAVA_FLOAT, (long) entry * maxTopLogProbabilities + rank);
  }

  /** Copies {@code count} logits of an entry to the start of {@code into}; one caller at a time. */
  public int logits(int entry, float[] into, int count) {
    long bytes = (long) count * Float.BYTES;
    if (logits.byteSize() < bytes) {
      logits = Arena.ofAuto().allocate(bytes, Float.BYTES);
    }
    int status;
    try {
      status =
          (int)
              Functions.STEP_LOGITS.invokeExact(handle, entry, logits, (long) count, error.segment);
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
    if (status == NativeStatus.OK) {
      MemorySegment.copy(logits, JAVA_FLOAT, 0, into, 0, count);
    }
    return status;
  }

  /** Invalidates the views. After it the buffers may be freed. */
  public void closeViews() {
    views.close();
  }

  private MemorySegment view(
      MemorySegment struct, String field, long elements, ValueLayout element) {
    return struct
        .get(ADDRESS, Layouts.offset(Layouts.STEP_BUFFERS, field))
        .reinterpret(elements * element.byteSize(), views, null);
  }
}
