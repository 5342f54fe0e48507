package dev.weir.cli;

import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Options that size the KV pool. */
final class CacheArguments {
  @ArgGroup(exclusive = true)
  private Capacity capacity = new Capacity();

  @Mixin private BlockArguments blocks;

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
    blocks.check(check);
    if (capacity.blocks != null) {
      check.within("--kv-blocks", capacity.blocks, 1, blocks.mostBlocks());
    }
    if (capacity.bytes != null) {
      check.atLeast("--kv-bytes", capacity.bytes, 1);
    }
  }

  /**
   * Tokens that a pool of the given size holds.
   *
   * @param bytesPerToken KV memory of a token
   * @return the largest number there is if no size was given
   */
  long tokens(long bytesPerToken) {
    if (capacity.blocks != null) {
      return capacity.blocks * blocks.size();
    }
    return capacity.bytes == null
        ? Long.MAX_VALUE
        : capacity.bytes / (bytesPerToken * blocks.size()) * blocks.size();
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
    return blocks.size();
  }

  long swapBlocks() {
    return blocks.swapBlocks();
  }
}
