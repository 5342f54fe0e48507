package dev.weir.cli;

import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Option;

/** Options that size the KV pool. */
final class CacheArguments {
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
