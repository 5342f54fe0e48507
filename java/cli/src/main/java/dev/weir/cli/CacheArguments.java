package dev.weir.cli;

import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Option;

/** Options that size the KV pool. */
final class CacheArguments {
  /** {@code WEIR_MAX_BLOCK_SIZE}. */
  private static final int MAX_BLOCK_SIZE = 1024;

  @ArgGroup(exclusive = true)
  private Capacity capacity = new Capacity();

  @Option(
      names = "--block-size",
      paramLabel = "TOKENS",
      defaultValue = "16",
      description = "Tokens of a KV block (default: ${DEFAULT-VALUE}).")
  private int blockSize;

  @Option(
      names = "--swap-blocks",
      paramLabel = "N",
      defaultValue = "0",
      description = "Blocks of host memory for swapped requests (default: ${DEFAULT-VALUE}).")
  private long swapBlocks;

  private static final class Capacity {
    @Option(
        names = "--kv-blocks",
        paramLabel = "N",
        description =
            "Size of the KV pool in blocks (default: chosen from the memory that is free).")
    private Long blocks;

    @Option(
        names = "--kv-bytes",
        paramLabel = "BYTES",
        converter = ByteCount.class,
        description = "Size of the KV pool in bytes, for example 512M or 2GiB.")
    private Long bytes;
  }

  /** Refuses sizes that no model and no device can have. */
  void check(OptionCheck check) {
    check.within("--block-size", blockSize, 1, MAX_BLOCK_SIZE);
    long most = Long.MAX_VALUE / blockSize;
    if (capacity.blocks != null) {
      check.within("--kv-blocks", capacity.blocks, 1, most);
    }
    if (capacity.bytes != null) {
      check.atLeast("--kv-bytes", capacity.bytes, 1);
    }
    check.within("--swap-blocks", swapBlocks, 0, most);
  }

  /**
   * Tokens that a pool of the given size holds.
   *
   * @param bytesPerToken KV memory of a token
   * @return the largest number there is if no size was given
   */
  long tokens(long bytesPerToken) {
    if (capacity.blocks != null) {
      return capacity.blocks * blockSize;
    }
    return capacity.bytes == null
        ? Long.MAX_VALUE
        : capacity.bytes / (bytesPerToken * blockSize) * blockSize;
  }

  /** Null if not given. */
  Long blocks() {
    return capacity.blocks;
  }

  /** Null if not given. */
  Long bytes() {
    return capacity.bytes;
  }

  int blockSize() {
    return blockSize;
  }

  long swapBlocks() {
    return swapBlocks;
  }
}
