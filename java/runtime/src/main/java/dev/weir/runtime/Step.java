package dev.weir.runtime;

import dev.weir.runtime.internal.ffi.NativeCall;
import dev.weir.runtime.internal.ffi.NativeStep;
import java.util.Objects;

/**
 * One batch: chunks of tokens of some sequences that pass through the model together. A prompt, a
 * part of one and a single generated token are all chunks.
 *
 * <pre>{@code
 * step.clear();
 * int entry = step.add(sequence, prompt, 0, prompt.length);
 * step.sample(entry, Sampling.greedy());
 * step.run();
 * int next = step.sampledToken(entry);   // to be added to the next batch
 * }</pre>
 *
 * <p>The batch is written into native memory that was allocated once, and the results are read from
 * there: after the first steps of a size, clear, add, sample, run and the getters allocate nothing.
 *
 * <p><b>Threads.</b> Meant for one thread at a time. It is safe with more: clear, add, sample, run,
 * logits and close wait for each other, and a close under a getter of another thread makes that
 * getter throw {@link ClosedException}.
 */
public final class Step implements AutoCloseable {
  private final KvCache cache;
  private final NativeStep step;

  /** Held by whatever writes the batch and by the run that reads it. */
  private final Object batch = new Object();

  private volatile boolean closed;
  private int entries;
  private int tokens;
  private boolean ran;
  private int readableEntries;

  private int lastEntries;
  private int lastTokens;
  private long lastNanoseconds;
  private long lastBlocksTaken;
  private long lastCopiedOnWrite;

  private Step(KvCache cache, NativeStep step) {
    this.cache = cache;
    this.step = step;
  }

  /**
   * Allocates a step and its workspace.
   *
   * @throws DeviceMemoryException if the workspace does not fit
   * @throws InvalidArgumentException if an option is out of range
   * @throws ClosedException if the cache was closed
   */
  public static Step create(KvCache cache, StepOptions options) {
    Objects.requireNonNull(options, "options");
    try (NativeCall call = new NativeCall()) {
      Status.check(
          NativeStep.create(call, cache.open().handle(), options.toNative(call)), call.error());
      long handle = call.result();
      boolean created = false;
      try {
        NativeStep.Buffers buffers = new NativeStep.Buffers(call);
        Status.check(NativeStep.buffers(call, handle, buffers), call.error());
        Step step = new Step(cache, new NativeStep(handle, buffers));
        created = true;
        return step;
      } finally {
        if (!created) {
          NativeStep.close(call, handle);
        }
      }
    }
  }

  /** Starts a new batch. The results of the last one cannot be read any more. */
  public void clear() {
    synchronized (batch) {
      checkOpen();
      entries = 0;
      tokens = 0;
      ran = false;
      readableEntries = 0;
    }
  }

  /**
   * Adds a chunk of one token. Its sequence may not have another entry in the batch.
   *
   * @return the index of the entry, from 0
   * @throws InvalidArgumentException if the batch is full or has run, or the sequence belongs to
   *     another cache
   * @throws ClosedException if the step, its cache or the sequence was closed
   */
  public int add(Sequence sequence, int token) {
    synchronized (batch) {
      int entry = begin(sequence, 1);
      step.token(tokens, token);
      return end(entry, 1);
    }
  }

  /**
   * Adds the chunk {@code tokens[offset]} to {@code tokens[offset + count - 1]}. Its sequence may
   * not have another entry in the batch.
   *
   * @return the index of the entry, from 0
   * @throws InvalidArgumentException if the range is empty or not in the array, the batch is full
   *     or has run, or the sequence belongs to another cache
   * @throws ClosedException if the step, its cache or the sequence was closed
   */
  public int add(Sequence sequence, int[] tokens, int offset, int count) {
    if (offset < 0 || count < 1 || count > tokens.length - offset) {
      throw new InvalidArgumentException(
          "offset is "
              + offset
              + " and count is "
              + count
              + ", must be a range of at least 1 of the "
              + tokens.length
              + " tokens");
    }
    synchronized (batch) {
      int entry = begin(sequence, count);
      step.tokens(this.tokens, tokens, offset, count);
      return end(entry, count);
    }
  }

  /**
   * Asks for one token after the last token of an entry.
   *
   * @throws InvalidArgumentException if there is no such entry, or more top log-probabilities are
   *     wanted than {@link StepOptions#maxTopLogProbabilities()}
   */
  public void sample(int entry, Sampling sampling) {
    synchronized (batch) {
      checkOpen();
      checkNotRun();
      checkEntry(entry, entries);
      if (sampling.topLogProbabilities() > step.maxTopLogProbabilities()) {
        throw new InvalidArgumentException(
            "topLogProbabilities is "
                + sampling.topLogProbabilities()
                + ", the step was created for at most "
                + step.maxTopLogProbabilities()
                + " (StepOptions.maxTopLogProbabilities)");
      }
      step.sample(
          entry,
          sampling.temperature(),
          sampling.topK(),
          sampling.topP(),
          sampling.repetitionPenalty(),
          sampling.seed(),
          sampling.topLogProbabilities());
    }
  }

  /**
   * Appends the batch's tokens to their sequences, computes and samples. All or nothing: after an
   * exception every sequence has its old length, and the same batch may be run again.
   *
   * @throws OutOfBlocksException if the pool has too few free blocks; needed() and available() are
   *     blocks
   * @throws InvalidArgumentException if the batch is empty or has run already, a sequence is in it
   *     twice or swapped out, a token is not in the vocabulary, or a sequence would exceed the
   *     model's context length; the message names the entry
   * @throws ClosedException if the step, its cache or a sequence was closed
   * @throws DeviceMemoryException if a temporary buffer does not fit
   * @throws DeviceFailedException if the device failed
   */
  public void run() {
    synchronized (batch) {
      checkOpen();
      checkNotRun();
      cache.open();
      Status.check(step.run(entries), step.error());
      ran = true;
      lastEntries = step.reportedEntries();
      lastTokens = step.reportedTokens();
      lastNanoseconds = step.reportedNanoseconds();
      lastBlocksTaken = step.reportedBlocksTaken();
      lastCopiedOnWrite = step.reportedCopiedOnWrite();
      readableEntries = lastEntries;
    }
  }

  /** Entries of the last run that succeeded; 0 before the first. */
  public int entries() {
    checkOpen();
    return lastEntries;
  }

  /** Tokens of the last run that succeeded. */
  public int tokens() {
    checkOpen();
    return lastTokens;
  }

  /** Nanoseconds that the last run that succeeded took. */
  public long nanoseconds() {
    checkOpen();
    return lastNanoseconds;
  }

  /** Free blocks before the last run that succeeded minus free blocks after it. */
  public long blocksTaken() {
    checkOpen();
    return lastBlocksTaken;
  }

  /** Blocks that the last run that succeeded copied because they were shared. */
  public long copiedOnWrite() {
    checkOpen();
    return lastCopiedOnWrite;
  }

  /**
   * The new token of an entry, -1 if it did not sample. It is not part of the sequence yet: add it
   * to the next batch.
   *
   * @throws InvalidArgumentException if the batch has not run or has no such entry
   */
  public int sampledToken(int entry) {
    checkResult(entry);
    try {
      return step.sampledToken(entry);
    } catch (IllegalStateException e) {
      throw closed();
    }
  }

  /**
   * The natural logarithm of the probability that the model gives the new token, before penalty,
   * temperature and filters; NaN if the entry did not sample.
   *
   * @throws InvalidArgumentException if the batch has not run or has no such entry
   */
  public float sampledLogProbability(int entry) {
    checkResult(entry);
    try {
      return step.sampledLogProbability(entry);
    } catch (IllegalStateException e) {
      throw closed();
    }
  }

  /**
   * The token at a place in the list of the most likely tokens.
   *
   * @param rank 0 is the most likely; less than the entry's {@link Sampling#topLogProbabilities()}
   * @throws InvalidArgumentException if the batch has not run, has no such entry or did not ask for
   *     this rank
   */
  public int topToken(int entry, int rank) {
    checkResult(entry);
    try {
      checkRank(entry, rank);
      return step.topToken(entry, rank);
    } catch (IllegalStateException e) {
      throw closed();
    }
  }

  /**
   * The natural logarithm of the probability of {@link #topToken}.
   *
   * @throws InvalidArgumentException as {@link #topToken}
   */
  public float topLogProbability(int entry, int rank) {
    checkResult(entry);
    try {
      checkRank(entry, rank);
      return step.topLogProbability(entry, rank);
    } catch (IllegalStateException e) {
      throw closed();
    }
  }

  /**
   * Copies the logits of an entry that sampled, before any penalty or filter.
   *
   * @param into gets one value a token of the vocabulary; at least that long
   * @throws InvalidArgumentException if the batch has not run, the entry did not sample, or the
   *     array is too short
   */
  public void logits(int entry, float[] into) {
    synchronized (batch) {
      checkResult(entry);
      int vocabularySize = cache.model().vocabularySize();
      if (into.length < vocabularySize) {
        throw new InvalidArgumentException(
            "the array has room for "
                + into.length
                + " logits, the vocabulary has "
                + vocabularySize);
      }
      Status.check(step.logits(entry, into, vocabularySize), step.error());
    }
  }

  /** Waits for a run that is under way in another thread. */
  @Override
  public void close() {
    synchronized (batch) {
      if (closed) {
        return;
      }
      closed = true;
      step.closeViews();
      try (NativeCall call = new NativeCall()) {
        Status.check(NativeStep.close(call, step.handle()), call.error());
      }
    }
  }

  private int begin(Sequence sequence, int count) {
    checkOpen();
    checkNotRun();
    cache.open();
    if (sequence.cache() != cache) {
      throw new InvalidArgumentException("the sequence belongs to another KV cache than the step");
    }
    long id = sequence.id();
    if (entries == step.maxEntries()) {
      throw new InvalidArgumentException(
          "the batch has "
              + entries
              + " entries, the step was created for at most that many"
              + " (StepOptions.maxEntries)");
    }
    if (count > step.maxTokens() - tokens) {
      throw new InvalidArgumentException(
          "the batch has "
              + tokens
              + " tokens and would get "
              + count
              + " more, the step was created for at most "
              + step.maxTokens()
              + " (StepOptions.maxTokens)");
    }
    step.entry(entries, id, count);
    return entries;
  }

  private int end(int entry, int count) {
    entries = entry + 1;
    tokens += count;
    return entry;
  }

  private void checkOpen() {
    if (closed) {
      throw closed();
    }
  }

  private void checkNotRun() {
    if (ran) {
      throw new InvalidArgumentException("the batch has run; clear() starts a new one");
    }
  }

  private void checkResult(int entry) {
    checkOpen();
    checkEntry(entry, readableEntries);
  }

  private static void checkEntry(int entry, int count) {
    if (entry < 0 || entry >= count) {
      throw new InvalidArgumentException(
          "entry is "
              + entry
              + ", there are "
              + count
              + " (from 0; results are there after run())");
    }
  }

  private void checkRank(int entry, int rank) {
    int requested = step.requestedLogProbabilities(entry);
    if (rank < 0 || rank >= requested) {
      throw new InvalidArgumentException(
          "rank is "
              + rank
              + ", the entry asked for "
              + requested
              + " (from 0; Sampling.topLogProbabilities)");
    }
  }

  private static ClosedException closed() {
    return new ClosedException("the step was closed");
  }
}
