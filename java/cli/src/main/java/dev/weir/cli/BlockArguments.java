package dev.weir.cli;

import picocli.CommandLine.Option;

/** Options that say what the blocks of a KV pool are like. */
final class BlockArguments {
  /** {@code WEIR_MAX_BLOCK_SIZE}. */
  private static final int MAX_BLOCK_SIZE = 1024;

  @Option(
      names = "--block-size",
      paramLabel = "TOKENS",
      defaultValue = "16",
      description = "Tokens of a KV block (default: ${DEFAULT-VALUE}).")
  private int size;

  @Option(
      names = "--swap-blocks",
      paramLabel = "N",
      defaultValue = "0",
      description = "Blocks of host memory for swapped requests (default: ${DEFAULT-VALUE}).")
  private long swapBlocks;

  /** Refuses what no pool can have. */
  void check(OptionCheck check) {
    check.within("--block-size", size, 1, MAX_BLOCK_SIZE);
    check.within("--swap-blocks", swapBlocks, 0, mostBlocks());
  }

  /** As many as there can be with less than 2^63 tokens. */
  long mostBlocks() {
    return Long.MAX_VALUE / size;
  }

  int size() {
    return size;
  }

  long swapBlocks() {
    return swapBlocks;
  }
}
