package dev.weir.runtime.internal.ffi;

import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.util.List;
import java.util.Optional;

/** Shared libraries of the system, looked for as the dynamic linker does. */
public final class SystemLibrary {
  private SystemLibrary() {}

  /** Whether it can be opened. If so, it stays open. */
  public static boolean isThere(String name) {
    return open(name).isPresent();
  }

  /** The first of these functions that a library lacks, or all of them if it is not there. */
  public static Optional<String> missingFunction(String name, List<String> functions) {
    Optional<SymbolLookup> library = open(name);
    return functions.stream()
        .filter(function -> library.flatMap(symbols -> symbols.find(function)).isEmpty())
        .findFirst();
  }

  private static Optional<SymbolLookup> open(String name) {
    try {
      return Optional.of(SymbolLookup.libraryLookup(name, Arena.global()));
    } catch (IllegalArgumentException _) {
      return Optional.empty();
    }
  }
}
