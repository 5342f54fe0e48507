package dev.weir.runtime;

import dev.weir.runtime.internal.ffi.NativeCacheOptions;
import dev.weir.runtime.internal.ffi.NativeCall;
import java.util.Objects;

/**
 * The size of a KV cache. The numbers are checked by {@link KvCache#create}.
 *
 * @param blockSize tokens a block, 1 to 1024; 0 = 16
 * @param blocks capacity in blocks, or 0 and {@code bytes} counts
 * @param bytes capacity in bytes, rounded down to whole blocks; exactly one of blocks and bytes is
 *     not 0, except in {@link Device#planMemory}
 * @param swapBlocks swap space in host memory, in blocks; 0 = none
 * @param maxSequences sequences that may exist at once; 0 = 65,536
 * @param kvPrecision the numbers that keys and values are kept in; {@link Precision#DEFAULT}, which
 *     every device has, for those of the model's activations. {@link DeviceKind#CUDA} also has
 *     {@link Precision#FP16}, {@link Precision#BF16}, {@link Precision#INT8} and {@link
 *     Precision#FP8}
 */
public record KvCacheOptions(
    int blockSize,
    long blocks,
    long bytes,
    long swapBlocks,
    int maxSequences,
    Precision kvPrecision) {
  public KvCacheOptions {
    Objects.requireNonNull(kvPrecision, "kvPrecision");
  }

  /** A capacity in blocks, everything else by default. */
  public static KvCacheOptions ofBlocks(long blocks) {
    return new KvCacheOptions(0, blocks, 0, 0, 0, Precision.DEFAULT);
  }

  /** A capacity in bytes, everything else by default. */
  public static KvCacheOptions ofBytes(long bytes) {
    return new KvCacheOptions(0, 0, bytes, 0, 0, Precision.DEFAULT);
  }

  /**
   * No capacity, everything else by default. Only for {@link Device#planMemory}, which then tells
   * how many blocks there is room for.
   */
  public static KvCacheOptions unsized() {
    return new KvCacheOptions(0, 0, 0, 0, 0, Precision.DEFAULT);
  }

  public KvCacheOptions withBlockSize(int blockSize) {
    return new KvCacheOptions(blockSize, blocks, bytes, swapBlocks, maxSequences, kvPrecision);
  }

  public KvCacheOptions withSwapBlocks(long swapBlocks) {
    return new KvCacheOptions(blockSize, blocks, bytes, swapBlocks, maxSequences, kvPrecision);
  }

  public KvCacheOptions withMaxSequences(int maxSequences) {
    return new KvCacheOptions(blockSize, blocks, bytes, swapBlocks, maxSequences, kvPrecision);
  }

  public KvCacheOptions withKvPrecision(Precision kvPrecision) {
    return new KvCacheOptions(blockSize, blocks, bytes, swapBlocks, maxSequences, kvPrecision);
  }

  NativeCacheOptions toNative(NativeCall call) {
    return new NativeCacheOptions(
        call, blockSize, blocks, bytes, swapBlocks, maxSequences, kvPrecision.code());
  }
}
