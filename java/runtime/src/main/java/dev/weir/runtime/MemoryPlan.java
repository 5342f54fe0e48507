package dev.weir.runtime;

/**
 * What a model, a KV cache and a step take of a device's memory, before they take it. In bytes
 * where nothing else is said. The memory of {@link DeviceKind#CPU} is the host's.
 *
 * @param blockSize tokens of a KV block
 * @param deviceTotal memory of the device
 * @param deviceAvailable what of it can be allocated now
 * @param weights of the model, as this device keeps them
 * @param workspace activations, scratch and tables of one {@link Step}
 * @param graphs recorded decode steps of one {@link Step}, estimated from above; 0 where none are
 *     recorded
 * @param kvAvailable what weights, workspace and graphs leave of {@code deviceAvailable}; at least
 *     0
 * @param kvBlockBytes a KV block over all layers
 * @param kvBlocks blocks of the KV pool: those that were asked for, or all that {@code kvAvailable}
 *     has room for
 * @param kvBytes the KV pool; more than {@code kvAvailable} if more was asked for than there is
 * @param swapBytes the swap space, in the host's memory
 */
public record MemoryPlan(
    int blockSize,
    long deviceTotal,
    long deviceAvailable,
    long weights,
    long workspace,
    long graphs,
    long kvAvailable,
    long kvBlockBytes,
    long kvBlocks,
    long kvBytes,
    long swapBytes) {
  /**
   * Bytes that others use: other processes, the driver, and what this one has allocated already.
   */
  public long otherUsers() {
    return deviceTotal - deviceAvailable;
  }

  /** Tokens that the KV pool holds. */
  public long kvTokens() {
    return kvBlocks * blockSize;
  }

  /**
   * Sequences of {@code length} tokens each that the KV pool holds at once.
   *
   * @param length tokens, prompt and output together; at least 1
   */
  public long largestBatch(int length) {
    return kvBlocks / Math.ceilDiv(length, blockSize);
  }

  /** The same with another number of blocks. */
  public MemoryPlan withKvBlocks(long blocks) {
    return new MemoryPlan(
        blockSize,
        deviceTotal,
        deviceAvailable,
        weights,
        workspace,
        graphs,
        kvAvailable,
        kvBlockBytes,
        blocks,
        Math.multiplyExact(blocks, kvBlockBytes),
        swapBytes);
  }
}
