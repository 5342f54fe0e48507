package dev.weir.engine;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.jna.NativeLibrary;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The emulated CUDA device that native/emulator is, and the faults that it can be told to have; see
 * its emulator/control.h.
 */
final class Emulator {
  /** {@code cudaErrorMemoryAllocation}. */
  static final int OUT_OF_MEMORY = 2;

  /** {@code cudaErrorIllegalAddress}, after which nothing works any more. */
  static final int ILLEGAL_ADDRESS = 700;

  /** Of {@code weir_emulator_counters}, all of 64 bits. */
  private static final int COUNTERS = 14;

  private static final int KERNELS = 0;
  private static final int GRAPH_LAUNCHES = 2;
  private static final int LIVE_ALLOCATIONS = 7;
  private static final int LIVE_PINNED = 9;
  private static final int LIVE_STREAMS = 10;

  private static final AddressLayout ADDRESS = ValueLayout.ADDRESS;

  private final MethodHandle reset;
  private final MethodHandle setDeviceMemory;
  private final MethodHandle failCall;
  private final MethodHandle failLaunch;
  private final MethodHandle hangLaunch;
  private final MethodHandle getCounters;

  private Emulator(SymbolLookup library) {
    reset = function(library, "weir_emulator_reset");
    setDeviceMemory = function(library, "weir_emulator_set_device_memory", JAVA_LONG);
    failCall = function(library, "weir_emulator_fail_call", ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT);
    failLaunch = function(library, "weir_emulator_fail_launch", JAVA_LONG, JAVA_INT);
    hangLaunch = function(library, "weir_emulator_hang_launch", JAVA_LONG, JAVA_LONG);
    getCounters = function(library, "weir_emulator_get_counters", ADDRESS);
  }

  private static MethodHandle function(
      SymbolLookup library, String name, MemoryLayout... parameters) {
    return Linker.nativeLinker()
        .downcallHandle(library.findOrThrow(name), FunctionDescriptor.ofVoid(parameters));
  }

  /**
   * Of this JVM, whose libweir the property {@code weir.library} names. Skips the test where the
   * tests of the native layer were not built.
   */
  static Emulator ofThisJvm() {
    Path libweir = Path.of(System.getProperty("weir.library"));
    Path emulator = Path.of(System.getProperty("weir.emulator"));
    for (Path library : new Path[] {libweir, emulator}) {
      assumeTrue(
          Files.exists(library),
          library + " is not there: the native tests, and with them the emulator, were not built");
    }
    // DJL's tokenizers open the CUDA runtime of the machine, if there is one, and by JNA, which
    // makes its
    // functions those of the whole process. The first library that does so wins.
    NativeLibrary.getInstance(emulator.toString());
    return new Emulator(SymbolLookup.libraryLookup(emulator, Arena.global()));
  }

  /** Forgets faults, also the one that has happened. */
  void reset() {
    call(reset);
  }

  void setDeviceMemory(long bytes) {
    call(setDeviceMemory, bytes);
  }

  /** The {@code number}-th call of a function from now on fails, counted from 1. */
  void failCall(String function, long number, int error) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment name = arena.allocateFrom(function, US_ASCII);
      call(failCall, name, number, error, 0);
    }
  }

  /** The {@code number}-th kernel from now on fails, and everything after it. */
  void failLaunch(long number, int error) {
    call(failLaunch, number, error);
  }

  /** The {@code number}-th kernel from now on takes so much longer. */
  void hangLaunch(long number, long milliseconds) {
    call(hangLaunch, number, milliseconds);
  }

  long kernels() {
    return counters()[KERNELS];
  }

  long graphLaunches() {
    return counters()[GRAPH_LAUNCHES];
  }

  /** What was taken of the device and not given back: allocations on both sides, and streams. */
  long live() {
    long[] counters = counters();
    return counters[LIVE_ALLOCATIONS] + counters[LIVE_PINNED] + counters[LIVE_STREAMS];
  }

  private long[] counters() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment counters = arena.allocate(JAVA_LONG, COUNTERS);
      call(getCounters, counters);
      return counters.toArray(JAVA_LONG);
    }
  }

  private static void call(MethodHandle function, Object... arguments) {
    try {
      function.invokeWithArguments(arguments);
    } catch (Throwable t) {
      throw new AssertionError(t);
    }
  }
}
