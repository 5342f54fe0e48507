package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** A {@code weir_error}: says what the last failed call that got it asked for and why it failed. */
public final class NativeError {
  private static final long NEEDED = Layouts.offset(Layouts.ERROR, "needed");
  private static final long AVAILABLE = Layouts.offset(Layouts.ERROR, "available");
  private static final long MESSAGE = Layouts.offset(Layouts.ERROR, "message");

  final MemorySegment segment;

  NativeError(Arena arena) {
    segment = Layouts.allocate(Layouts.ERROR, arena);
  }

  /** In the unit that the status names; 0 where there is none. */
  public long needed() {
    return segment.get(JAVA_LONG, NEEDED);
  }

  /** In the unit that the status names; 0 where there is none. */
  public long available() {
    return segment.get(JAVA_LONG, AVAILABLE);
  }

  public String message() {
    return segment.getString(MESSAGE);
  }
}
