package dev.weir.runtime;

/**
 * The state of a sequence.
 *
 * @param length tokens whose keys and values are in the cache
 * @param blocks blocks of its block table: length / block size, rounded up
 * @param sharedBlocks of those, blocks that another sequence uses as well
 * @param swapped whether it is in the host swap space
 */
public record SequenceInfo(int length, int blocks, int sharedBlocks, boolean swapped) {}
