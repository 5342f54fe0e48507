package dev.weir.testkit;

import java.lang.ref.WeakReference;

/** What is left after a garbage collection. */
final class Heap {
  private Heap() {}

  /** Bytes in use after a collection, or what is in use if collections cannot be asked for. */
  static long used() {
    collects();
    Runtime runtime = Runtime.getRuntime();
    return runtime.totalMemory() - runtime.freeMemory();
  }

  /** Collects garbage; false if the virtual machine ignores the wish. */
  static boolean collects() {
    WeakReference<Object> canary = new WeakReference<>(new Object());
    System.gc();
    return canary.get() == null;
  }
}
