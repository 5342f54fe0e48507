package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;

/**
 * A {@code weir_progress}. Its memory lives as long as this object, so any thread may read it at
 * any time.
 */
public final class NativeProgress {
  private static final VarHandle VALUE = JAVA_LONG.varHandle();
  private static final long DONE = Layouts.offset(Layouts.PROGRESS, "done");
  private static final long TOTAL = Layouts.offset(Layouts.PROGRESS, "total");

  final MemorySegment segment = Layouts.allocate(Layouts.PROGRESS, Arena.ofAuto());

  public long done() {
    return (long) VALUE.getOpaque(segment, DONE);
  }

  public long total() {
    return (long) VALUE.getOpaque(segment, TOTAL);
  }
}
