package dev.weir.cli.profile;

import dev.weir.runtime.KvCache;
import dev.weir.runtime.Sampling;
import dev.weir.runtime.Sequence;
import dev.weir.runtime.Step;
import dev.weir.runtime.StepOptions;
import dev.weir.simulation.BatchGroup;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Batches of a model on its device, as an engine runs them: every request has KV blocks of its own,
 * and a run is timed from filling the step to having read the sampled tokens.
 *
 * <p>What is in the cache does not matter for the time, only how much. So one sequence is prefilled
 * to the longest context; the others are copies of its beginning. A copy is a fork that goes
 * through the swap space, from which it comes back into blocks of its own: with shared blocks,
 * attention would find in the processor's caches what in service comes from memory. After a run
 * each sequence is cut back to its length before.
 */
public final class DeviceBatches implements BatchRunner, AutoCloseable {
  /** A prime, so that the tokens of a prompt are not all in one place of the embeddings. */
  private static final int TOKEN_STRIDE = 7919;

  private final KvCache cache;
  private final Step step;
  private final Sequence longest;
  private final int[] tokens;

  /** Longest first. */
  private final List<Sequence> sequences = new ArrayList<>();

  /** What each of {@link #sequences} computes, and where it is cut back to. */
  private final List<BatchGroup> work = new ArrayList<>();

  private DeviceBatches(KvCache cache, Step step, int longestContext) {
    this.cache = cache;
    this.step = step;
    int vocabulary = cache.model().info().vocabularySize();
    tokens =
        IntStream.range(0, longestContext)
            .map(i -> (int) ((long) i * TOKEN_STRIDE % vocabulary))
            .toArray();
    longest = cache.createSequence();
  }

  /**
   * Creates the step and the longest sequence.
   *
   * @param cache has room for two sequences of {@code longestContext} tokens at least, and swap
   *     space for one
   * @param maxSequences requests in a batch
   * @param maxTokens tokens in a batch
   * @param longestContext at least 2
   */
  public static DeviceBatches create(
      KvCache cache, int maxSequences, int maxTokens, int longestContext) {
    Step step = Step.create(cache, new StepOptions(maxSequences, maxTokens, 0));
    boolean created = false;
    try {
      DeviceBatches batches = new DeviceBatches(cache, step, longestContext);
      batches.fill(longestContext - 1, maxTokens);
      created = true;
      return batches;
    } finally {
      if (!created) {
        step.close();
      }
    }
  }

  private void fill(int length, int maxTokens) {
    for (int done = 0; done < length; ) {
      int count = Math.min(maxTokens, length - done);
      step.clear();
      step.add(longest, tokens, done, count);
      step.run();
      done += count;
    }
  }

  @Override
  public void prepare(List<BatchGroup> batch) {
    work.clear();
    for (BatchGroup group : batch) {
      for (int i = 0; i < group.requests(); i++) {
        work.add(group);
      }
    }
    work.sort(Comparator.comparingInt(BatchGroup::before).reversed());
    List<Sequence> kept = new ArrayList<>(work.size());
    for (int i = 0; i < sequences.size(); i++) {
      Sequence sequence = sequences.get(i);
      if (i < work.size() && sequence.length() >= work.get(i).before()) {
        sequence.truncate(work.get(i).before());
        kept.add(sequence);
      } else {
        sequence.close(); // before others need its blocks
        kept.add(null);
      }
    }
    sequences.clear();
    for (int i = 0; i < work.size(); i++) {
      Sequence sequence = i < kept.size() ? kept.get(i) : null;
      sequences.add(sequence == null ? copy(work.get(i).before()) : sequence);
    }
  }

  private Sequence copy(int length) {
    if (length == 0) {
      return cache.createSequence();
    }
    Sequence copy = longest.fork();
    copy.truncate(length);
    copy.swapOut();
    copy.swapIn();
    return copy;
  }

  @Override
  public long run() {
    long start = System.nanoTime();
    step.clear();
    for (int i = 0; i < work.size(); i++) {
      BatchGroup group = work.get(i);
      int entry =
          group.decodes()
              ? step.add(sequences.get(i), tokens[group.before()])
              : step.add(sequences.get(i), tokens, group.cached(), group.tokens());
      step.sample(entry, Sampling.greedy());
    }
    step.run();
    for (int i = 0; i < work.size(); i++) {
      step.sampledToken(i);
    }
    long end = System.nanoTime();
    for (int i = 0; i < work.size(); i++) {
      sequences.get(i).truncate(work.get(i).before());
    }
    return end - start;
  }

  @Override
  public void close() {
    sequences.forEach(Sequence::close);
    longest.close();
    step.close();
  }
}
