package dev.weir.cli.bench;

/**
 * One iteration of the engine.
 *
 * @param time its end, in nanoseconds since the start of the run
 * @param duration what it took, in nanoseconds
 * @param usedBlocks KV blocks in use while it ran, the new tokens included
 * @param blocksAfter KV blocks in use when the requests that it completed had left
 * @param running requests in the KV cache afterwards
 * @param waiting requests that wait to enter or to come back
 * @param evictions requests evicted in this iteration
 */
public record IterationSample(
    long time,
    long duration,
    long usedBlocks,
    long blocksAfter,
    int running,
    int waiting,
    int evictions) {}
