package dev.weir.cli.plan;

import dev.weir.scheduling.KvCapacity;
import java.util.Locale;

/**
 * What a device's memory is used for.
 *
 * @param totalBytes the device's memory
 * @param unusedBytes the share that is left to the driver, the allocator and other processes
 * @param weightBytes the model's weights
 * @param activationBytes intermediate results of the largest step
 * @param kvBytes what is left: the KV pool, with a remainder smaller than a block
 * @param blockBytes a block of the KV pool
 */
public record MemoryBudget(
    long totalBytes,
    long unusedBytes,
    long weightBytes,
    long activationBytes,
    long kvBytes,
    long blockBytes) {

  /**
   * Divides the memory.
   *
   * @param utilization share of the memory that is used at all, in (0, 1]
   * @param blockBytes bytes of a block
   * @throws IllegalArgumentException if not one block is left; the message names the sizes and the
   *     settings
   */
  public static MemoryBudget of(
      long totalBytes,
      double utilization,
      long weightBytes,
      long activationBytes,
      long blockBytes) {
    long used = (long) (totalBytes * utilization);
    long kvBytes = used - weightBytes - activationBytes;
    if (kvBytes < blockBytes) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "no KV block of %,d bytes fits: %s of %,d bytes less %,d for weights and %,d for"
                  + " activations leave %,d (--memory, --memory-utilization, --dtype,"
                  + " --activation-reserve)",
              blockBytes,
              utilization,
              totalBytes,
              weightBytes,
              activationBytes,
              kvBytes));
    }
    return new MemoryBudget(
        totalBytes, totalBytes - used, weightBytes, activationBytes, kvBytes, blockBytes);
  }

  /** The KV pool of this memory. */
  public KvCapacity pool(int blockSize) {
    return new KvCapacity(kvBytes / blockBytes, blockSize, 0);
  }
}
