package dev.weir.runtime;

import dev.weir.runtime.internal.ffi.NativeError;
import dev.weir.runtime.internal.ffi.NativeStatus;

/**
 * Why a call failed, and the unit of {@link WeirException#needed()} and {@link
 * WeirException#available()}.
 */
public enum Status {
  /** The caller's mistake: {@link InvalidArgumentException}. */
  INVALID_ARGUMENT(NativeStatus.INVALID_ARGUMENT),
  /** The object was closed: {@link ClosedException}. */
  CLOSED(NativeStatus.CLOSED),
  /** The KV pool has too few free blocks (unit: blocks): {@link OutOfBlocksException}. */
  OUT_OF_BLOCKS(NativeStatus.OUT_OF_BLOCKS),
  /** The host swap space has too few free blocks (unit: blocks): {@link OutOfSwapException}. */
  OUT_OF_SWAP(NativeStatus.OUT_OF_SWAP),
  /**
   * Host or device memory, or the cache's number of sequences, is used up: {@link
   * DeviceMemoryException}.
   */
  OUT_OF_MEMORY(NativeStatus.OUT_OF_MEMORY),
  /**
   * A model file is damaged or inconsistent, or what it computes is not finite (unit: the index of
   * an entry): {@link InvalidModelException}.
   */
  INVALID_MODEL(NativeStatus.INVALID_MODEL),
  /** Well-formed, but beyond this release or this processor: {@link UnsupportedException}. */
  UNSUPPORTED(NativeStatus.UNSUPPORTED),
  /** A file cannot be opened or read: {@link ModelIoException}. */
  IO_ERROR(NativeStatus.IO_ERROR),
  /** There is no such device, driver or backend here: {@link DeviceUnavailableException}. */
  DEVICE_UNAVAILABLE(NativeStatus.DEVICE_UNAVAILABLE),
  /** The device reported an error and cannot be used any more: {@link DeviceFailedException}. */
  DEVICE_FAILED(NativeStatus.DEVICE_FAILED),
  /** A defect of the native layer: {@link InternalException}. */
  INTERNAL(NativeStatus.INTERNAL),
  /** The native library could not be found or opened; the native layer itself never reports it. */
  LIBRARY_UNAVAILABLE(-1);

  private final int code;

  Status(int code) {
    this.code = code;
  }

  /** Throws what {@code code}, the result of a native call, stands for, unless that is success. */
  static void check(int code, NativeError error) {
    if (code != NativeStatus.OK) {
      throw failure(code, error.needed(), error.available(), error.message());
    }
  }

  private static RuntimeException failure(int code, long needed, long available, String message) {
    for (Status status : values()) {
      if (status.code == code) {
        return status.exception(needed, available, message);
      }
    }
    return new InternalException(
        "the native library returned a status that this binding does not know ("
            + code
            + "): "
            + message);
  }

  private RuntimeException exception(long needed, long available, String message) {
    return switch (this) {
      case INVALID_ARGUMENT -> new InvalidArgumentException(message);
      case CLOSED -> new ClosedException(message);
      case OUT_OF_BLOCKS -> new OutOfBlocksException(message, needed, available);
      case OUT_OF_SWAP -> new OutOfSwapException(message, needed, available);
      case OUT_OF_MEMORY -> new DeviceMemoryException(message, needed, available);
      case INVALID_MODEL -> new InvalidModelException(message, needed);
      case UNSUPPORTED -> new UnsupportedException(message);
      case IO_ERROR -> new ModelIoException(message);
      case DEVICE_UNAVAILABLE -> new DeviceUnavailableException(message);
      case DEVICE_FAILED -> new DeviceFailedException(message);
      case INTERNAL -> new InternalException(message);
      case LIBRARY_UNAVAILABLE -> new NativeLibraryException(message, null);
    };
  }

  /** The number of this status in weir.h; negative if it has none. */
  int code() {
    return code;
  }
}
