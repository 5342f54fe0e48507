package dev.weir.scheduling;

/**
 * The KV memory that a scheduler manages.
 *
 * @param blocks blocks of the pool, at least 1; all of them together hold less than 2^63 tokens
 * @param blockSize tokens a block, at least 1
 * @param swapBlocks blocks of host swap space, 0 if there is none
 */
public record KvCapacity(long blocks, int blockSize, long swapBlocks) {
  public KvCapacity {
    if (blocks < 1) {
      throw new IllegalArgumentException("blocks is " + blocks + ", must be at least 1");
    }
    if (blockSize < 1) {
      throw new IllegalArgumentException("blockSize is " + blockSize + ", must be at least 1");
    }
    if (blocks > Long.MAX_VALUE / blockSize) {
      throw new IllegalArgumentException(
          "blocks is "
              + blocks
              + ", must be at most "
              + Long.MAX_VALUE / blockSize
              + " with a blockSize of "
              + blockSize);
    }
    if (swapBlocks < 0) {
      throw new IllegalArgumentException("swapBlocks is " + swapBlocks + ", must not be negative");
    }
  }

  /** Blocks that {@code tokens} tokens of one sequence take. */
  public long blocksFor(long tokens) {
    return (tokens + blockSize - 1) / blockSize;
  }

  /** Capacity of the pool in tokens, if every block is full. */
  public long tokens() {
    return blocks * blockSize;
  }

  /**
   * Refuses a request that could outgrow the whole pool, which no scheduler could ever finish.
   *
   * @throws IllegalArgumentException if prompt and longest output do not fit into the empty pool
   */
  public void requireFits(Request request) {
    long needed = blocksFor((long) request.promptTokens() + request.maxOutputTokens() - 1);
    if (needed > blocks) {
      throw new IllegalArgumentException(
          request
              + " may need "
              + needed
              + " KV blocks of "
              + blockSize
              + " tokens, the pool has "
              + blocks
              + "; enlarge the pool or lower the request's maximum output");
    }
  }
}
