package dev.weir.runtime;

import dev.weir.runtime.internal.ffi.LibraryLoadException;
import dev.weir.runtime.internal.ffi.NativeCall;
import dev.weir.runtime.internal.ffi.NativeDevice;
import dev.weir.runtime.internal.ffi.NativeLibrary;
import java.nio.file.Path;

/**
 * The native library. It is found and opened by the first call that needs it, once in the life of
 * the JVM.
 *
 * <p>Where it comes from, first match:
 *
 * <ol>
 *   <li>the system property {@code weir.library}: the library file itself;
 *   <li>the system property {@code weir.home}: a folder that holds {@code lib/libweir.so} or {@code
 *       libweir.so};
 *   <li>the environment variables {@code WEIR_LIBRARY}, then {@code WEIR_HOME}, with the same
 *       meaning;
 *   <li>the class path, {@code dev/weir/native/<platform>/libweir.so} (in the jar weir-native),
 *       extracted once into JavaCPP's cache ({@code ~/.javacpp/cache}, or the system property
 *       {@code org.bytedeco.javacpp.cachedir}).
 * </ol>
 *
 * <p>A setting that names nothing usable is an error. oneDNN, which multiplies large matrices on
 * the CPU, is taken from the class path if it is there ({@code org.bytedeco:dnnl}); without it
 * libweir's own kernels do, and {@link DeviceInfo#matmul()} says so. cuBLASLt, which does on a GPU,
 * is the file that the environment variable {@code WEIR_CUBLASLT} names, else that of the class
 * path ({@code org/bytedeco/cuda/<platform>/libcublasLt.so.13}), else the one that the system
 * finds.
 *
 * <p>The JVM wants {@code --enable-native-access=ALL-UNNAMED} (or {@code Enable-Native-Access} in
 * the manifest of the application's jar) and prints a warning otherwise.
 *
 * <p>Every method throws {@link NativeLibraryException} if the library cannot be used; a later call
 * tries again.
 */
public final class WeirLibrary {
  private WeirLibrary() {}

  /** The release of the native library, such as "0.1.0". */
  public static String version() {
    return library().version();
  }

  /** The version of the C interface that the library has: major * 1000 + minor. */
  public static int abiVersion() {
    return library().abiVersion();
  }

  /** The file that the library was opened from. */
  public static Path path() {
    return library().path();
  }

  /**
   * Finds and opens the library if that has not happened yet, so that a later call does not pay for
   * it.
   */
  public static void load() {
    library();
  }

  /**
   * Marks steps and their parts as NVTX ranges from now on, or no more, for profilers such as
   * Nsight Systems. For the whole process; off at first. Only {@link DeviceKind#CUDA} has ranges.
   */
  public static void profileRanges(boolean enabled) {
    library();
    try (NativeCall call = new NativeCall()) {
      Status.check(NativeDevice.profileRanges(call, enabled), call.error());
    }
  }

  private static NativeLibrary library() {
    try {
      return NativeLibrary.load();
    } catch (LibraryLoadException e) {
      throw new NativeLibraryException(e.getMessage(), e);
    }
  }
}
