package dev.weir.runtime.internal.ffi;

import java.lang.foreign.MemorySegment;

/** The numbers of {@code weir_status}. */
public final class NativeStatus {
  public static final int OK = 0;
  public static final int INVALID_ARGUMENT = 1;
  public static final int CLOSED = 2;
  public static final int OUT_OF_BLOCKS = 3;
  public static final int OUT_OF_SWAP = 4;
  public static final int OUT_OF_MEMORY = 5;
  public static final int INVALID_MODEL = 6;
  public static final int UNSUPPORTED = 7;
  public static final int IO_ERROR = 8;
  public static final int DEVICE_UNAVAILABLE = 9;
  public static final int DEVICE_FAILED = 10;
  public static final int INTERNAL = 11;

  private NativeStatus() {}

  /** The header's name of a status. */
  static String name(int status) {
    try {
      return NativeLibrary.text((MemorySegment) Functions.STATUS_NAME.invokeExact(status));
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }
}
