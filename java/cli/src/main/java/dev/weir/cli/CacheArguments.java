package dev.weir.cli;

import dev.weir.engine.EngineOptions;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Options that size the KV pool. */
final class CacheArguments {
  @ArgGroup(exclusive = true)
  private Capacity capacity = new Capacity();

  @Option(
      names = "--reserve-memory",
      paramLabel = "BYTES",
      converter = ByteCount.class,
      defaultValue = "1GiB",
      description = "What --kv-rest leaves free on the device (default: ${DEFAULT-VALUE}).")
  private long reserve;

  @Mixin private BlockArguments blocks;

  private static final class Capacity {
    @Option(
        names = "--kv-blocks",
        paramLabel = "N",
        description =
            "Size of the KV pool in blocks (default: on cuda as --kv-rest; on the CPU 64 full"
                + " contexts, at most 4 GiB).")
    private Long blocks;

    @Option(
        names = "--kv-bytes",
        paramLabel = "BYTES",
        converter = ByteCount.class,
        description = "Size of the KV pool in bytes, for example 512M or 2GiB.")
    private Long bytes;

    @Option(
        names = "--kv-rest",
        description =
            "Give the KV pool all memory that weights, workspace and graphs leave on the device,"
                + " less --reserve-memory.")
    private boolean rest;
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

  void applyTo(EngineOptions.Builder builder) {
    builder.blockSize(blocks.size()).swapBlocks(blocks.swapBlocks()).reserveMemory(reserve);
    if (capacity.blocks != null) {
      builder.kvBlocks(capacity.blocks);
    } else if (capacity.bytes != null) {
      builder.kvBytes(capacity.bytes);
    } else if (capacity.rest) {
      builder.kvRest();
    }
  }

  long swapBlocks() {
    return blocks.swapBlocks();
  }
}
