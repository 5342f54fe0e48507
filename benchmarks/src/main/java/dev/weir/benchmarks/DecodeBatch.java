package dev.weir.benchmarks;

import dev.weir.runtime.DeviceMemoryException;
import dev.weir.runtime.KvCache;
import dev.weir.runtime.KvCacheOptions;
import dev.weir.runtime.Precision;
import dev.weir.runtime.Sampling;
import dev.weir.runtime.Sequence;
import dev.weir.runtime.Step;
import dev.weir.runtime.StepOptions;
import dev.weir.runtime.UnsupportedException;
import java.util.Arrays;

/**
 * Sequences that decode together, a token each a step, as the engine runs them. Their contexts grow
 * from {@code shortest} to {@code longest} tokens and are then cut back, so that the mean context
 * stays the same however long a benchmark runs.
 *
 * <p>Filling a batch, running it and reading it allocates nothing; cutting it back does (a call off
 * the engine's hot path takes scratch memory), once in {@code longest - shortest} steps.
 */
final class DecodeBatch implements AutoCloseable {
  private static final int BLOCK_SIZE = 16;

  /** Prompts are computed in steps of at most so many tokens. */
  private static final int PREFILL_TOKENS = 2048;

  private final KvCache cache;
  private final Step step;
  private final Sequence[] running;
  private final int[] next;
  private final Sampling sampling;
  private final int shortest;
  private final int longest;
  private int length;

  /**
   * Computes a prompt of {@code shortest} tokens for each sequence, each another one.
   *
   * @param promptTokens of the prompts that {@link #decodeWith} adds to a step; 0 if none
   * @param kvPrecision the numbers that keys and values are kept in
   * @throws SkippedException if the device has no room for the KV cache, or does not keep it in
   *     these numbers
   */
  DecodeBatch(
      BenchmarkModel model,
      int sequences,
      int shortest,
      int longest,
      int promptTokens,
      Precision kvPrecision,
      Sampling sampling) {
    this.shortest = shortest;
    this.longest = longest;
    this.sampling = sampling;
    long blocks = (long) sequences * blocks(longest) + blocks(promptTokens);
    model.requireKvMemory(blocks * BLOCK_SIZE);
    try {
      cache =
          KvCache.create(
              model.model(),
              KvCacheOptions.ofBlocks(blocks)
                  .withBlockSize(BLOCK_SIZE)
                  .withKvPrecision(kvPrecision));
    } catch (UnsupportedException | DeviceMemoryException e) {
      throw new SkippedException(e.getMessage());
    }
    step =
        Step.create(
            cache,
            new StepOptions(sequences + 1, Math.max(PREFILL_TOKENS, sequences + promptTokens), 0));
    running = new Sequence[sequences];
    next = new int[sequences];
    for (int i = 0; i < sequences; i++) {
      running[i] = cache.createSequence();
      next[i] = prefill(running[i], prompt(i, shortest));
    }
    length = shortest;
  }

  /** As the other one, with the KV in the precision of the model's activations. */
  DecodeBatch(BenchmarkModel model, int sequences, int shortest, int longest, Sampling sampling) {
    this(model, sequences, shortest, longest, 0, Precision.DEFAULT, sampling);
  }

  /** Token ids that any model has: a begin-of-sequence and text. */
  static int[] prompt(int sequence, int tokens) {
    int[] prompt = new int[tokens];
    Arrays.setAll(prompt, t -> t == 0 ? 1 : 3 + (31 * sequence + 7 * t) % 500);
    return prompt;
  }

  KvCache cache() {
    return cache;
  }

  /** One token for every sequence; returns the sum of their ids. */
  int decode() {
    fill();
    step.run();
    length++;
    return read();
  }

  /** As {@link #decode}, with the prompt of one more sequence in the same step. */
  int decodeWith(Sequence prompting, int[] prompt) {
    fill();
    int entry = step.add(prompting, prompt, 0, prompt.length);
    step.sample(entry, sampling);
    step.run();
    length++;
    return read() + step.sampledToken(entry);
  }

  /** Computes a prompt, in several steps if it is long, and returns the token that follows it. */
  int prefill(Sequence sequence, int[] prompt) {
    for (int from = 0; ; from += PREFILL_TOKENS) {
      int count = Math.min(PREFILL_TOKENS, prompt.length - from);
      step.clear();
      int entry = step.add(sequence, prompt, from, count);
      if (from + count == prompt.length) {
        step.sample(entry, sampling);
        step.run();
        return step.sampledToken(entry);
      }
      step.run();
    }
  }

  private void fill() {
    if (length == longest) {
      for (Sequence sequence : running) {
        sequence.truncate(shortest);
      }
      length = shortest;
    }
    step.clear();
    for (int i = 0; i < running.length; i++) {
      step.sample(step.add(running[i], next[i]), sampling);
    }
  }

  private int read() {
    int sum = 0;
    for (int i = 0; i < running.length; i++) {
      next[i] = step.sampledToken(i);
      sum += next[i];
    }
    return sum;
  }

  private static long blocks(int tokens) {
    return (tokens + BLOCK_SIZE - 1) / BLOCK_SIZE;
  }

  @Override
  public void close() {
    step.close();
    cache.close();
  }
}
