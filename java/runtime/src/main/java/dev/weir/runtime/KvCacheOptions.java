package dev.weir.runtime;

/**
 * The size of a KV cache. The numbers are checked by {@link KvCache#create}.
 *
 * @param blockSize tokens a block, 1 to 1024; 0 = 16
 * @param blocks capacity in blocks, or 0 and {@code bytes} counts
 * @param bytes capacity in bytes, rounded down to whole blocks; exactly one of blocks and bytes is
 *     not 0
 * @param swapBlocks swap space in host memory, in blocks; 0 = none
 * @param maxSequences sequences that may exist at once; 0 = 65,536
 */
public record KvCacheOptions(
    int blockSize, long blocks, long bytes, long swapBlocks, int maxSequences) {

  /** A capacity in blocks, everything else by default. */
  public static KvCacheOptions ofBlocks(long blocks) {
    return new KvCacheOptions(0, blocks, 0, 0, 0);
  }

  /** A capacity in bytes, everything else by default. */
  public static KvCacheOptions ofBytes(long bytes) {
    return new KvCacheOptions(0, 0, bytes, 0, 0);
  }

  public KvCacheOptions withBlockSize(int blockSize) {
    return new KvCacheOptions(blockSize, blocks, bytes, swapBlocks, maxSequences);
  }

  public KvCacheOptions withSwapBlocks(long swapBlocks) {
    return new KvCacheOptions(blockSize, blocks, bytes, swapBlocks, maxSequences);
  }

  public KvCacheOptions withMaxSequences(int maxSequences) {
    return new KvCacheOptions(blockSize, blocks, bytes, swapBlocks, maxSequences);
  }
}
