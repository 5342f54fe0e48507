package dev.weir.engine;

import java.util.List;

/**
 * A generation that has ended.
 *
 * @param promptIds token ids of the prompt
 * @param ids generated token ids, with the end-of-sequence token if one came
 * @param text generated text, up to the stop string if one came; the prompt is not part of it
 * @param finishReason why it ended
 * @param tokens as they were delivered, one for each of {@code ids}
 * @param timings when things happened
 * @param evictionNanoTimes {@link System#nanoTime()} of each time that the request lost its place
 *     in the KV pool, in order
 * @param recomputedTokens cached tokens that were thrown away by evictions and had to be computed
 *     again
 */
public record GenerationResult(
    int[] promptIds,
    int[] ids,
    String text,
    FinishReason finishReason,
    List<GeneratedToken> tokens,
    GenerationTimings timings,
    long[] evictionNanoTimes,
    long recomputedTokens) {

  /** A copy. */
  @Override
  public int[] promptIds() {
    return promptIds.clone();
  }

  /** A copy. */
  @Override
  public int[] ids() {
    return ids.clone();
  }

  /** A copy. */
  @Override
  public long[] evictionNanoTimes() {
    return evictionNanoTimes.clone();
  }

  /** How often the request lost its place in the KV pool. */
  public int evictions() {
    return evictionNanoTimes.length;
  }
}
