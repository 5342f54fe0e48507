package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The scratch memory of one call off the hot path: its error, its result and what its arguments
 * point to. Belongs to the thread that made it, until it is closed at the end of the call.
 */
public final class NativeCall implements AutoCloseable {
  final Arena arena = Arena.ofConfined();
  final MemorySegment result = arena.allocate(JAVA_LONG);
  private final NativeError error = new NativeError(arena);

  public NativeError error() {
    return error;
  }

  /** The handle or sequence that the call made, once it returned OK. */
  public long result() {
    return result.get(JAVA_LONG, 0);
  }

  /** The 32-bit result of a call that counts something. */
  public int count() {
    return result.get(JAVA_INT, 0);
  }

  @Override
  public void close() {
    arena.close();
  }
}
