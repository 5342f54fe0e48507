package dev.weir.runtime;

import dev.weir.runtime.internal.ffi.NativeCache;
import dev.weir.runtime.internal.ffi.NativeCacheStatistics;
import dev.weir.runtime.internal.ffi.NativeCall;
import dev.weir.runtime.internal.ffi.NativeSequenceInfo;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A pool of KV blocks for one model, and the sequences whose keys and values are in it. Safe for
 * use by many threads.
 */
public final class KvCache implements AutoCloseable {
  private final Model model;
  private final NativeCache cache;
  private final AtomicBoolean closed = new AtomicBoolean();

  /** Held while the native statistics are filled and read, which never waits for a step. */
  private final Object statistics = new Object();

  /**
   * Held while the native description of a sequence is filled and read, which may wait for a step.
   */
  private final Object description = new Object();

  private KvCache(Model model, NativeCache cache) {
    this.model = model;
    this.cache = cache;
  }

  /**
   * Allocates the pool and the swap space.
   *
   * @throws DeviceMemoryException if they do not fit; nothing is allocated then
   * @throws UnsupportedException if the device keeps no keys and values in that precision
   * @throws InvalidArgumentException if an option is out of range
   * @throws ClosedException if the model was closed
   */
  public static KvCache create(Model model, KvCacheOptions options) {
    Objects.requireNonNull(options, "options");
    try (NativeCall call = new NativeCall()) {
      Status.check(NativeCache.create(call, model.handle(), options.toNative(call)), call.error());
      return new KvCache(model, new NativeCache(call.result()));
    }
  }

  /** The model that the cache was created for, which may be closed meanwhile. */
  public Model model() {
    return model;
  }

  /**
   * An empty sequence. Takes no block.
   *
   * @throws DeviceMemoryException if {@link KvCacheOptions#maxSequences()} sequences exist
   */
  public Sequence createSequence() {
    try (NativeCall call = new NativeCall()) {
      Status.check(open().createSequence(call), call.error());
      return new Sequence(this, call.result());
    }
  }

  /** Never waits for a step that runs. */
  public KvCacheStatistics statistics() {
    synchronized (statistics) {
      NativeCacheStatistics read = read();
      return new KvCacheStatistics(
          read.blockSize(),
          read.blockBytes(),
          read.capacity(),
          read.free(),
          read.used(),
          read.shared(),
          read.peakUsed(),
          read.swapCapacity(),
          read.swapUsed(),
          read.sequences(),
          read.swappedSequences(),
          read.residentTokens(),
          read.steps(),
          read.tokensComputed(),
          read.copiedOnWrite(),
          read.swappedOut(),
          read.swappedIn());
    }
  }

  /** Free blocks of the pool. Does not allocate and never waits for a step that runs. */
  public long freeBlocks() {
    synchronized (statistics) {
      return read().free();
    }
  }

  /** Free blocks of the swap space. Does not allocate and never waits for a step that runs. */
  public long freeSwapBlocks() {
    synchronized (statistics) {
      NativeCacheStatistics read = read();
      return read.swapCapacity() - read.swapUsed();
    }
  }

  /** Ends all sequences of the cache. Steps that were created for it can only be closed. */
  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      try (NativeCall call = new NativeCall()) {
        Status.check(cache.close(call), call.error());
      }
    }
  }

  NativeCache open() {
    if (closed.get()) {
      throw new ClosedException("the KV cache was closed");
    }
    return cache;
  }

  /** The same whether it is open or not: the native side checks as well. */
  NativeCache nativeCache() {
    return cache;
  }

  int sequenceLength(long sequence) {
    synchronized (description) {
      return describe(sequence).length();
    }
  }

  boolean isSequenceSwapped(long sequence) {
    synchronized (description) {
      return describe(sequence).swapped() != 0;
    }
  }

  SequenceInfo sequenceInfo(long sequence) {
    synchronized (description) {
      NativeSequenceInfo info = describe(sequence);
      return new SequenceInfo(
          info.length(), info.blocks(), info.sharedBlocks(), info.swapped() != 0);
    }
  }

  private NativeCacheStatistics read() {
    Status.check(open().readStatistics(), cache.statisticsError());
    return cache.statistics();
  }

  private NativeSequenceInfo describe(long sequence) {
    Status.check(open().describeSequence(sequence), cache.sequenceInfoError());
    return cache.sequenceInfo();
  }
}
