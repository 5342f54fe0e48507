package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.File;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.net.JarURLConnection;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Optional;
import org.bytedeco.javacpp.Loader;

/**
 * Finds, opens and checks libweir, once in the life of the JVM; it is never unloaded.
 *
 * <p>The library comes from the first of: the file {@code weir.library}, the folder {@code
 * weir.home} (system properties), the file {@code WEIR_LIBRARY}, the folder {@code WEIR_HOME}
 * (environment), the class path. A setting that names nothing usable is an error, it does not fall
 * through to the next. A library inside a jar is extracted by JavaCPP's {@link Loader} into its
 * cache (by default {@code ~/.javacpp/cache}, see the property {@code
 * org.bytedeco.javacpp.cachedir}) under a name that has the checksum of its content: two builds of
 * one version never read each other's copy, and a JVM that runs is not disturbed by another one
 * that extracts.
 *
 * <p>libdnnl and the libgomp it needs are opened first when the class path has them. libweir asks
 * for libdnnl by its soname, which the dynamic linker answers with the copy that is open already.
 * Without them libweir multiplies matrices by itself and says so in the device's description. With
 * libcublasLt it is the same, where the class path has it.
 */
public final class NativeLibrary {
  /** The version of weir.h that this binding was written for: major * 1000 + minor. */
  static final int ABI_VERSION = 1002;

  private static final String LIBRARY = System.mapLibraryName("weir");
  private static final String HOW_TO_SET =
      "To use another one, set the system property weir.library (or the environment variable"
          + " WEIR_LIBRARY) to the library file, or weir.home (WEIR_HOME) to the folder that holds"
          + " it or lib/"
          + LIBRARY;

  private static volatile NativeLibrary loaded;
  private static SymbolLookup symbols;

  private final Path path;
  private final int abiVersion;
  private final String version;

  private NativeLibrary(Path path, int abiVersion, String version) {
    this.path = path;
    this.abiVersion = abiVersion;
    this.version = version;
  }

  /**
   * The library, opened by the first call. Threads that come meanwhile wait for it. A call that
   * failed may be repeated.
   */
  public static NativeLibrary load() throws LibraryLoadException {
    NativeLibrary library = loaded;
    return library != null ? library : open();
  }

  /** Where the library was opened from: in a cache folder of JavaCPP if it came out of a jar. */
  public Path path() {
    return path;
  }

  /**
   * major * 1000 + minor of the library, which is at least that of this binding with the same
   * major.
   */
  public int abiVersion() {
    return abiVersion;
  }

  /** The release of the library, such as "0.1.0". */
  public String version() {
    return version;
  }

  /** The library's functions; only while and after it is loaded. */
  static SymbolLookup symbols() {
    if (symbols == null) {
      throw new IllegalStateException("NativeLibrary.load() comes before the first native call");
    }
    return symbols;
  }

  private static synchronized NativeLibrary open() throws LibraryLoadException {
    if (loaded != null) {
      return loaded;
    }
    Path path = find();
    openOneDnn();
    SymbolLookup lookup = openLibrary(path);
    int abiVersion = abiVersion(lookup, path);
    symbols = lookup;
    try {
      MethodHandles.lookup().ensureInitialized(Functions.class);
    } catch (IllegalAccessException | LinkageError e) {
      throw new LibraryLoadException(
          path
              + " says it has version "
              + dotted(abiVersion)
              + " of the ABI but lacks functions of it. "
              + HOW_TO_SET,
          e);
    }
    loaded = new NativeLibrary(path, abiVersion, releaseOf());
    return loaded;
  }

  private static Path find() throws LibraryLoadException {
    Optional<Path> configured =
        configured(
            "system property weir.",
            System.getProperty("weir.library"),
            System.getProperty("weir.home"),
            "library",
            "home");
    if (configured.isEmpty()) {
      configured =
          configured(
              "environment variable WEIR_",
              System.getenv("WEIR_LIBRARY"),
              System.getenv("WEIR_HOME"),
              "LIBRARY",
              "HOME");
    }
    return configured.isPresent() ? configured.get() : bundled();
  }

  private static Optional<Path> configured(
      String prefix, String library, String home, String libraryName, String homeName)
      throws LibraryLoadException {
    if (library != null) {
      String setting = prefix + libraryName;
      Path file = toPath(library, setting);
      if (!Files.isRegularFile(file)) {
        throw new LibraryLoadException(
            "The " + setting + " names " + file + ", which is not a file", null);
      }
      return Optional.of(file);
    }
    if (home != null) {
      String setting = prefix + homeName;
      Path folder = toPath(home, setting);
      Path installed = folder.resolve("lib").resolve(LIBRARY);
      Path beside = folder.resolve(LIBRARY);
      if (Files.isRegularFile(installed)) {
        return Optional.of(installed);
      }
      if (Files.isRegularFile(beside)) {
        return Optional.of(beside);
      }
      throw new LibraryLoadException(
          "The "
              + setting
              + " names "
              + folder
              + ", but there is neither "
              + installed
              + " nor "
              + beside,
          null);
    }
    return Optional.empty();
  }

  private static Path toPath(String value, String setting) throws LibraryLoadException {
    try {
      return Path.of(value).toAbsolutePath();
    } catch (InvalidPathException e) {
      throw new LibraryLoadException("The " + setting + " is not a path: " + e.getMessage(), e);
    }
  }

  private static Path bundled() throws LibraryLoadException {
    String platform = Loader.getPlatform();
    String resource = "/dev/weir/native/" + platform + "/" + LIBRARY;
    try {
      URL url = Loader.findResource(NativeLibrary.class, resource);
      if (url == null) {
        throw new LibraryLoadException(
            "There is no native library for the platform "
                + platform
                + ": the class path has no "
                + resource.substring(1)
                + " (it comes with weir-native). "
                + HOW_TO_SET,
            null);
      }
      return extract(url, true);
    } catch (IOException e) {
      throw new LibraryLoadException(
          "Cannot extract "
              + resource.substring(1)
              + " into JavaCPP's cache ("
              + e.getMessage()
              + "). The system property org.bytedeco.javacpp.cachedir chooses another folder. "
              + HOW_TO_SET,
          e);
    }
  }

  /** libweir works without; DeviceInfo.matmul() tells the user who multiplies and why. */
  private static void openOneDnn() {
    // Both keep their names and so share a folder: libdnnl looks for libgomp beside itself.
    openIfBundled("/org/bytedeco/dnnl/", "libgomp.so.1", "libdnnl.so.3");
  }

  /**
   * Opens the cuBLASLt of the class path, if it has one, for a CUDA device that is to be opened.
   * Its hundreds of megabytes are extracted by the first call.
   */
  public static synchronized void openCublasLt() {
    openIfBundled("/org/bytedeco/cuda/", "libcublasLt.so.13");
  }

  private static void openIfBundled(String folder, String... names) {
    for (String name : names) {
      try {
        URL url =
            Loader.findResource(NativeLibrary.class, folder + Loader.getPlatform() + "/" + name);
        if (url == null) {
          return;
        }
        SymbolLookup.libraryLookup(extract(url, false), Arena.global());
      } catch (IOException | IllegalArgumentException e) {
        return;
      }
    }
  }

  /** The resource as a file: itself if it is one, else a copy in JavaCPP's cache. */
  private static Path extract(URL url, boolean nameByContent) throws IOException {
    try {
      if (url.getProtocol().equals("file")) {
        return Path.of(url.toURI());
      }
      URL source = url;
      if (nameByContent && url.openConnection() instanceof JarURLConnection connection) {
        // JavaCPP takes a fragment as the name of the copy.
        String checksum = HexFormat.of().toHexDigits((int) connection.getJarEntry().getCrc());
        source = new URI(url + "#" + checksum + "-" + LIBRARY).toURL();
      }
      File file = Loader.cacheResource(source);
      return file.toPath();
    } catch (URISyntaxException e) {
      throw new IOException("not a URI: " + url, e);
    }
  }

  private static SymbolLookup openLibrary(Path path) throws LibraryLoadException {
    try {
      return SymbolLookup.libraryLookup(path, Arena.global());
    } catch (IllegalArgumentException e) {
      throw new LibraryLoadException("Cannot open " + path + reason(path) + ". " + HOW_TO_SET, e);
    }
  }

  /** What the dynamic linker says, which {@link SymbolLookup} keeps to itself. */
  private static String reason(Path path) {
    try {
      System.load(path.toString());
      return "";
    } catch (UnsatisfiedLinkError e) {
      return ": " + e.getMessage();
    }
  }

  private static int abiVersion(SymbolLookup lookup, Path path) throws LibraryLoadException {
    Optional<MemorySegment> function = lookup.find("weir_abi_version");
    if (function.isEmpty()) {
      throw new LibraryLoadException(
          path + " is not a Weir library: it has no function weir_abi_version. " + HOW_TO_SET,
          null);
    }
    MethodHandle handle =
        Linker.nativeLinker().downcallHandle(function.get(), FunctionDescriptor.of(JAVA_INT));
    int version;
    try {
      version = (int) handle.invokeExact();
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
    if (version / 1000 != ABI_VERSION / 1000 || version < ABI_VERSION) {
      throw new LibraryLoadException(
          path
              + " has version "
              + dotted(version)
              + " of the ABI, this binding needs "
              + dotted(ABI_VERSION)
              + " or a later minor version. "
              + HOW_TO_SET,
          null);
    }
    return version;
  }

  private static String dotted(int version) {
    return version / 1000 + "." + version % 1000;
  }

  private static String releaseOf() {
    try {
      return text((MemorySegment) Functions.VERSION.invokeExact());
    } catch (Throwable t) {
      throw Downcalls.unexpected(t);
    }
  }

  /** A string in the library's static storage. */
  static String text(MemorySegment address) {
    return address.reinterpret(Long.MAX_VALUE).getString(0);
  }
}
