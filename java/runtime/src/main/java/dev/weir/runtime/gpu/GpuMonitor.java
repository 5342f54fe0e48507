package dev.weir.runtime.gpu;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Watches the NVIDIA GPUs of this machine. Creates no CUDA context and takes no memory of a GPU.
 *
 * <p>Safe for use by many threads, which take turns. A call takes milliseconds as a rule, but as
 * long as the driver likes, so none belongs on the thread that runs steps.
 */
public final class GpuMonitor implements AutoCloseable {
  /** The first driver that serves CUDA 13, which libweir is built with. */
  static final String DRIVER_NEEDED = "580";

  private static final int CUDA_NEEDED = 13_000;

  private final Nvml nvml;
  private final String driverVersion;
  private final int cudaVersion;
  private final List<Gpu> gpus;
  private boolean closed;

  GpuMonitor(Nvml nvml) throws GpuMonitorException {
    this.nvml = nvml;
    driverVersion = nvml.driverVersion();
    cudaVersion = nvml.cudaVersion();
    List<Gpu> found = new ArrayList<>();
    for (int index = 0; index < nvml.count(); index++) {
      found.add(nvml.gpu(index));
    }
    gpus = List.copyOf(found);
  }

  /**
   * Finds driver and GPUs.
   *
   * @throws GpuMonitorException if there is no driver, it is too old, NVML or JavaCPP's CUDA
   *     presets are not there, or the driver does not answer
   */
  public static GpuMonitor open() throws GpuMonitorException {
    Nvml nvml = JavaCppNvml.open();
    boolean opened = false;
    try {
      GpuMonitor monitor = new GpuMonitor(nvml);
      opened = true;
      return monitor;
    } finally {
      if (!opened) {
        nvml.shutDown();
      }
    }
  }

  /** Such as "580.65.06". */
  public String driverVersion() {
    return driverVersion;
  }

  /** The newest version of CUDA that the driver serves, such as "13.0". */
  public String cudaVersion() {
    return dotted(cudaVersion);
  }

  /** What is wrong with the driver if it is too old to compute; empty if it is not. */
  public Optional<String> driverTooOld() {
    return cudaVersion >= CUDA_NEEDED
        ? Optional.empty()
        : Optional.of(
            "the NVIDIA driver "
                + driverVersion
                + " serves CUDA "
                + dotted(cudaVersion)
                + ", and "
                + dotted(CUDA_NEEDED)
                + " is needed. Install driver "
                + DRIVER_NEEDED
                + " or later, or use the CPU");
  }

  private static String dotted(int version) {
    return version / 1000 + "." + version % 1000 / 10;
  }

  /** All GPUs that the driver knows, in its order, which need not be that of CUDA. */
  public List<Gpu> gpus() {
    return gpus;
  }

  /**
   * The GPU of a CUDA device.
   *
   * @param pciBusId {@link dev.weir.runtime.DeviceInfo#pciBusId()}
   */
  public Optional<Gpu> find(String pciBusId) {
    Optional<PciAddress> wanted = PciAddress.parse(pciBusId);
    return gpus.stream()
        .filter(gpu -> wanted.isPresent() && PciAddress.parse(gpu.pciBusId()).equals(wanted))
        .findFirst();
  }

  /**
   * Asks the driver.
   *
   * @param gpu one of {@link #gpus()}
   * @throws GpuMonitorException if the driver does not answer, or the monitor was closed
   */
  public synchronized GpuReading read(Gpu gpu) throws GpuMonitorException {
    if (closed) {
      throw new GpuMonitorException("the monitor was closed");
    }
    return nvml.read(gpu.index());
  }

  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      nvml.shutDown();
    }
  }
}
