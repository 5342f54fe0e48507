package dev.weir.timeline;

/**
 * One iteration. Times and durations in nanoseconds.
 *
 * @param number of the iteration
 * @param start when it began
 * @param duration how long it took
 * @param planStart when the scheduler began to decide
 * @param planDuration how long it decided; 0 if that took no time
 * @param stepStart when the model began
 * @param stepDuration how long the model took; 0 if that is not told apart
 * @param decodes decoding requests in the batch, which is also the number of their tokens
 * @param prefills prefilling requests in the batch
 * @param prefillTokens tokens that they computed
 * @param evictions requests that lost their KV blocks for it
 * @param usedBlocks KV blocks in use while it ran
 * @param usedBlocksAfter KV blocks in use when requests that it completed had left
 * @param running requests that hold KV blocks afterwards
 * @param waiting requests that hold none afterwards
 * @param swapped requests in the swap space afterwards
 */
public record TimelineIteration(
    long number,
    long start,
    long duration,
    long planStart,
    long planDuration,
    long stepStart,
    long stepDuration,
    int decodes,
    int prefills,
    int prefillTokens,
    int evictions,
    long usedBlocks,
    long usedBlocksAfter,
    int running,
    int waiting,
    int swapped) {}
