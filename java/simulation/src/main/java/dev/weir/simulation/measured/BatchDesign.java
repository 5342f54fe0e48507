package dev.weir.simulation.measured;

import dev.weir.simulation.BatchGroup;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;

/**
 * Which batches to measure, so that every part of the model of an iteration's time is seen apart
 * from the others.
 *
 * <p>The batches to fit lie on grids of powers of {@link Limits#factor}: decoding requests by their
 * context; tokens of a prompt by tokens cached before them; and a prompt beside decoding requests.
 * The ends of each range are among them. The batches held out are drawn at random, each size
 * log-uniformly, every request with a context of its own, as an engine would have them.
 *
 * @param fitted to fit the model to
 * @param heldOut to judge it by
 */
public record BatchDesign(List<List<BatchGroup>> fitted, List<List<BatchGroup>> heldOut) {
  private static final int SHORTEST_CONTEXT = 16;

  /** Of contexts and cached tokens, which act linearly, fewer are needed than of batch sizes. */
  private static final int CONTEXT_FACTOR = 4;

  private static final int ATTEMPTS = 1000;

  /** Copies the lists. */
  public BatchDesign {
    fitted = List.copyOf(fitted);
    heldOut = List.copyOf(heldOut);
  }

  /**
   * What a batch may have.
   *
   * @param maxSequences requests
   * @param maxTokens tokens computed
   * @param longestContext tokens of a request in the cache, the new ones included
   * @param blocks blocks of the KV pool
   * @param blockSize tokens of a block
   * @param factor between a size and the next, at least 2
   */
  public record Limits(
      int maxSequences, int maxTokens, int longestContext, long blocks, int blockSize, int factor) {
    /** Checks the numbers. */
    public Limits {
      if (maxSequences < 1
          || maxTokens < 1
          || longestContext < 2
          || blocks < 1
          || blockSize < 1
          || factor < 2) {
        throw new IllegalArgumentException(
            "limits of a design must be at least 1, longestContext and factor at least 2; they are "
                + maxSequences
                + ", "
                + maxTokens
                + ", "
                + longestContext
                + ", "
                + blocks
                + ", "
                + blockSize
                + ", "
                + factor);
      }
    }

    /** Whether a batch is within all of them. */
    public boolean allow(List<BatchGroup> batch) {
      long requests = 0;
      long tokens = 0;
      long needed = 0;
      for (BatchGroup group : batch) {
        requests += group.requests();
        tokens += group.computedTokens();
        needed += group.requests() * (long) Math.ceilDiv(group.after(), blockSize);
        if (group.after() > longestContext) {
          return false;
        }
      }
      return requests <= maxSequences && tokens <= maxTokens && needed <= blocks;
    }
  }

  /**
   * A design.
   *
   * @param heldOut batches to hold out of each {@link Region}
   * @param seed of these
   */
  public static BatchDesign of(Limits limits, int heldOut, long seed) {
    Set<List<BatchGroup>> fitted = new LinkedHashSet<>();
    addDecode(limits, fitted);
    addPrefill(limits, fitted);
    addMixed(limits, fitted);
    fitted.removeIf(batch -> !limits.allow(batch));
    SplittableRandom random = new SplittableRandom(seed);
    List<List<BatchGroup>> drawn = new ArrayList<>();
    for (Region region : Region.values()) {
      int wanted = drawn.size() + heldOut;
      for (int i = 0; i < ATTEMPTS && drawn.size() < wanted; i++) {
        List<BatchGroup> batch = draw(region, limits, random);
        if (limits.allow(batch)) {
          drawn.add(batch);
        }
      }
    }
    return new BatchDesign(List.copyOf(fitted), drawn);
  }

  private static void addDecode(Limits limits, Set<List<BatchGroup>> batches) {
    for (int requests : sizes(1, limits.maxSequences(), limits.factor())) {
      for (int context : sizes(SHORTEST_CONTEXT, limits.longestContext(), CONTEXT_FACTOR)) {
        batches.add(List.of(BatchGroup.decoding(requests, context)));
      }
    }
  }

  private static void addPrefill(Limits limits, Set<List<BatchGroup>> batches) {
    int longest = limits.longestContext();
    for (int tokens :
        sizes(Math.min(SHORTEST_CONTEXT, longest), limits.maxTokens(), limits.factor())) {
      if (tokens > longest) {
        int prompts = Math.ceilDiv(tokens, longest);
        batches.add(List.of(BatchGroup.prefilling(prompts, tokens / prompts, 0)));
        continue;
      }
      batches.add(List.of(BatchGroup.prefilling(1, tokens, 0)));
      for (int cached : sizes(4 * SHORTEST_CONTEXT, longest - tokens, CONTEXT_FACTOR)) {
        batches.add(List.of(BatchGroup.prefilling(1, tokens, cached)));
      }
    }
  }

  private static void addMixed(Limits limits, Set<List<BatchGroup>> batches) {
    int longest = limits.longestContext();
    int factor = limits.factor() * limits.factor();
    for (int requests : sizes(factor, limits.maxSequences() - 1, factor)) {
      for (int context : sizes(4 * SHORTEST_CONTEXT, longest, factor * CONTEXT_FACTOR)) {
        int most = Math.min(longest, limits.maxTokens() - requests);
        for (int tokens : sizes(2 * SHORTEST_CONTEXT, most, factor)) {
          BatchGroup decoding = BatchGroup.decoding(requests, context);
          batches.add(List.of(decoding, BatchGroup.prefilling(1, tokens, 0)));
          if (tokens + longest / 2 <= longest) {
            batches.add(List.of(decoding, BatchGroup.prefilling(1, tokens, longest / 2)));
          }
        }
      }
    }
  }

  private static List<BatchGroup> draw(Region region, Limits limits, RandomGenerator random) {
    List<BatchGroup> batch = new ArrayList<>();
    if (region != Region.PREFILL) {
      int requests = logUniform(1, limits.maxSequences(), random);
      // One scale for the batch, so that there are short and long ones and not only middling sums.
      int longest =
          logUniform(
              Math.min(SHORTEST_CONTEXT, limits.longestContext()), limits.longestContext(), random);
      for (int i = 0; i < requests; i++) {
        batch.add(BatchGroup.decoding(1, random.nextInt(1, longest + 1)));
      }
    }
    if (region != Region.DECODE) {
      int room = Math.min(limits.maxTokens() - batch.size(), limits.longestContext());
      if (room < 1) {
        return List.of(BatchGroup.prefilling(1, limits.longestContext() + 1, 0)); // not allowed
      }
      int tokens = logUniform(Math.min(SHORTEST_CONTEXT, room), room, random);
      int cached = random.nextBoolean() ? 0 : random.nextInt(limits.longestContext() - tokens + 1);
      batch.add(BatchGroup.prefilling(1, tokens, cached));
    }
    return batch;
  }

  private static int logUniform(int least, int most, RandomGenerator random) {
    return (int) Math.floor(least * Math.pow((most + 1.0) / least, random.nextDouble()));
  }

  /** {@code first}, {@code first * factor}, ... and {@code last}; empty if {@code last < 1}. */
  private static int[] sizes(int first, int last, int factor) {
    if (last < 1) {
      return new int[0];
    }
    int[] grid =
        IntStream.iterate(first, size -> size < last, size -> Math.multiplyExact(size, factor))
            .toArray();
    int[] all = Arrays.copyOf(grid, grid.length + 1);
    all[grid.length] = last;
    return all;
  }
}
