package dev.weir.runtime.gpu;

/** What a {@link GpuMonitor} needs of NVML. GPUs are numbered from 0 as NVML does. */
interface Nvml {
  /** Such as "580.65.06". */
  String driverVersion() throws GpuMonitorException;

  /** The newest version of CUDA that the driver serves: major * 1000 + minor * 10. */
  int cudaVersion() throws GpuMonitorException;

  int count() throws GpuMonitorException;

  Gpu gpu(int index) throws GpuMonitorException;

  GpuReading read(int index) throws GpuMonitorException;

  void shutDown();
}
