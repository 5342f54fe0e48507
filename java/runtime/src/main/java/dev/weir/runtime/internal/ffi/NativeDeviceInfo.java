package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;

/** A {@code weir_device_info}, valid until its call is closed. */
public final class NativeDeviceInfo {
  private static final long KIND = Layouts.offset(Layouts.DEVICE_INFO, "kind");
  private static final long ORDINAL = Layouts.offset(Layouts.DEVICE_INFO, "ordinal");
  private static final long THREADS = Layouts.offset(Layouts.DEVICE_INFO, "threads");
  private static final long MEMORY_TOTAL = Layouts.offset(Layouts.DEVICE_INFO, "memory_total");
  private static final long MEMORY_AVAILABLE =
      Layouts.offset(Layouts.DEVICE_INFO, "memory_available");
  private static final long NAME = Layouts.offset(Layouts.DEVICE_INFO, "name");
  private static final long MATMUL = Layouts.offset(Layouts.DEVICE_INFO, "matmul");
  private static final long PRECISION = Layouts.offset(Layouts.DEVICE_INFO, "precision");
  private static final long COMPUTE_CAPABILITY =
      Layouts.offset(Layouts.DEVICE_INFO, "compute_capability");
  private static final long MULTIPROCESSORS =
      Layouts.offset(Layouts.DEVICE_INFO, "multiprocessors");
  private static final long PCI_BUS_ID = Layouts.offset(Layouts.DEVICE_INFO, "pci_bus_id");

  final MemorySegment segment;

  public NativeDeviceInfo(NativeCall call) {
    segment = Layouts.allocate(Layouts.DEVICE_INFO, call.arena);
  }

  public int kind() {
    return segment.get(JAVA_INT, KIND);
  }

  public int ordinal() {
    return segment.get(JAVA_INT, ORDINAL);
  }

  public int threads() {
    return segment.get(JAVA_INT, THREADS);
  }

  public long memoryTotal() {
    return segment.get(JAVA_LONG, MEMORY_TOTAL);
  }

  public long memoryAvailable() {
    return segment.get(JAVA_LONG, MEMORY_AVAILABLE);
  }

  public String name() {
    return segment.getString(NAME);
  }

  public String matmul() {
    return segment.getString(MATMUL);
  }

  public int precision() {
    return segment.get(JAVA_INT, PRECISION);
  }

  public int computeCapability() {
    return segment.get(JAVA_INT, COMPUTE_CAPABILITY);
  }

  public int multiprocessors() {
    return segment.get(JAVA_INT, MULTIPROCESSORS);
  }

  public String pciBusId() {
    return segment.getString(PCI_BUS_ID);
  }
}
