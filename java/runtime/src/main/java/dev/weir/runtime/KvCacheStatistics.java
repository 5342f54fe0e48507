package dev.weir.runtime;

/**
 * The state of a KV cache, in blocks unless it says otherwise. Each value was exact at some moment
 * shortly before; under concurrent changes they need not be of the same one.
 *
 * @param blockSize tokens a block holds
 * @param blockBytes bytes a block takes: keys and values of all layers
 * @param capacity blocks of the pool
 * @param free blocks that nobody uses
 * @param used capacity - free
 * @param shared used blocks that belong to more than one sequence
 * @param peakUsed the highest {@code used} since the cache was created
 * @param swapCapacity blocks of the host swap space
 * @param swapUsed blocks of the swap space in use
 * @param sequences sequences that exist, swapped ones included
 * @param swappedSequences sequences in the swap space
 * @param residentTokens tokens of all sequences that are not swapped out
 * @param steps steps that succeeded
 * @param tokensComputed tokens that passed through the model in those steps
 * @param copiedOnWrite blocks copied because a shared one was about to be written, ever
 * @param swappedOut blocks moved to the host, ever
 * @param swappedIn blocks moved back, ever
 */
public record KvCacheStatistics(
    int blockSize,
    long blockBytes,
    long capacity,
    long free,
    long used,
    long shared,
    long peakUsed,
    long swapCapacity,
    long swapUsed,
    long sequences,
    long swappedSequences,
    long residentTokens,
    long steps,
    long tokensComputed,
    long copiedOnWrite,
    long swappedOut,
    long swappedIn) {}
