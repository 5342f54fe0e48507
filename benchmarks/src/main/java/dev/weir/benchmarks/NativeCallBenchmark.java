package dev.weir.benchmarks;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.weir.runtime.KvCache;
import dev.weir.runtime.KvCacheOptions;
import dev.weir.runtime.KvCacheStatistics;
import dev.weir.runtime.Precision;
import dev.weir.runtime.Sequence;
import dev.weir.runtime.WeirLibrary;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What a call into the native library costs: a function that returns a constant, by itself, and the
 * calls that the engine makes beside its steps, through the binding.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 1,
    jvmArgsAppend = {"--enable-native-access=ALL-UNNAMED"})
public class NativeCallBenchmark {
  /** The compiler makes a direct call only of a handle that is a constant to it. */
  private static final class Constant {
    static final MethodHandle ABI_VERSION = abiVersion();

    /** The same without the change of the thread's state, which no call that may wait can have. */
    static final MethodHandle ABI_VERSION_CRITICAL = abiVersion(Linker.Option.critical(false));

    private static MethodHandle abiVersion(Linker.Option... options) {
      MemorySegment function =
          SymbolLookup.libraryLookup(WeirLibrary.path(), Arena.global())
              .find("weir_abi_version")
              .orElseThrow();
      return Linker.nativeLinker()
          .downcallHandle(function, FunctionDescriptor.of(JAVA_INT), options);
    }
  }

  private BenchmarkModel model;
  private KvCache cache;
  private Sequence sequence;

  @Setup
  public void open() {
    model = BenchmarkModel.stories260K("cpu", Precision.DEFAULT);
    cache = KvCache.create(model.model(), KvCacheOptions.ofBlocks(16));
    sequence = cache.createSequence();
  }

  @TearDown
  public void close() {
    cache.close();
    model.close();
  }

  /** An empty downcall. */
  @Benchmark
  public int downcall() throws Throwable {
    return (int) Constant.ABI_VERSION.invokeExact();
  }

  /** An empty downcall without the change of the thread's state. */
  @Benchmark
  public int downcallCritical() throws Throwable {
    return (int) Constant.ABI_VERSION_CRITICAL.invokeExact();
  }

  /** Reads all statistics of a cache and returns one; the engine does so before each decision. */
  @Benchmark
  public long freeBlocks() {
    return cache.freeBlocks();
  }

  /** All statistics, as a record. */
  @Benchmark
  public KvCacheStatistics statistics() {
    return cache.statistics();
  }

  /** Describes a sequence, under the lock of its cache. */
  @Benchmark
  public int sequenceLength() {
    return sequence.length();
  }
}
