package dev.weir.runtime.gpu;

import dev.weir.runtime.internal.ffi.SystemLibrary;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import org.bytedeco.cuda.global.nvml;
import org.bytedeco.cuda.nvml.nvmlDevice_st;
import org.bytedeco.cuda.nvml.nvmlMemory_t;
import org.bytedeco.cuda.nvml.nvmlPciInfo_t;
import org.bytedeco.cuda.nvml.nvmlUtilization_t;
import org.bytedeco.javacpp.Loader;

/**
 * NVML by JavaCPP's CUDA presets.
 *
 * <p>The presets open libcuda.so.1, libcudart.so.13 and libnvidia-ml.so.1 when a class of theirs is
 * initialised, and a function that an old libnvidia-ml.so.1 lacks ends the process when it is
 * called. So both are looked for before.
 */
final class JavaCppNvml implements Nvml {
  private static final String CUDA = "libcuda.so.1";
  private static final String NVML = "libnvidia-ml.so.1";

  private static final List<String> FUNCTIONS =
      List.of(
          "nvmlInit_v2",
          "nvmlShutdown",
          "nvmlErrorString",
          "nvmlSystemGetDriverVersion",
          "nvmlSystemGetCudaDriverVersion_v2",
          "nvmlDeviceGetCount_v2",
          "nvmlDeviceGetHandleByIndex_v2",
          "nvmlDeviceGetName",
          "nvmlDeviceGetPciInfo_v3",
          "nvmlDeviceGetMemoryInfo",
          "nvmlDeviceGetUtilizationRates",
          "nvmlDeviceGetPowerUsage",
          "nvmlDeviceGetEnforcedPowerLimit",
          "nvmlDeviceGetTemperature",
          "nvmlDeviceGetClockInfo");

  private static final String CLASSES = "/org/bytedeco/cuda/global/nvml.class";
  private static final String LIBRARY =
      "/org/bytedeco/cuda/" + Loader.getPlatform() + "/libjninvml.so";

  private static final int TEXT_BYTES = 96;

  private JavaCppNvml() {}

  static JavaCppNvml open() throws GpuMonitorException {
    if (!SystemLibrary.isThere(CUDA)) {
      throw new GpuMonitorException(
          CUDA
              + " was not found: there is no NVIDIA driver here. Install it; in a container start"
              + " that with GPUs (--gpus all, or the environment variable"
              + " NVIDIA_VISIBLE_DEVICES=all)");
    }
    if (!SystemLibrary.isThere(NVML)) {
      throw new GpuMonitorException(
          NVML
              + " was not found, which comes with the NVIDIA driver. In a container set the"
              + " environment variable NVIDIA_DRIVER_CAPABILITIES=compute,utility");
    }
    Optional<String> missing = SystemLibrary.missingFunction(NVML, FUNCTIONS);
    if (missing.isPresent()) {
      throw new GpuMonitorException(
          NVML
              + " has no function "
              + missing.get()
              + ": the NVIDIA driver is too old. Install driver "
              + GpuMonitor.DRIVER_NEEDED
              + " or later");
    }
    for (String resource : List.of(CLASSES, LIBRARY)) {
      if (JavaCppNvml.class.getResource(resource) == null) {
        throw new GpuMonitorException(
            "JavaCPP's CUDA presets are not here: the class path has no "
                + resource.substring(1)
                + ". Add org.bytedeco:cuda, both without classifier and with "
                + Loader.getPlatform());
      }
    }
    try {
      check(nvml.nvmlInit_v2(), "nvmlInit_v2");
    } catch (LinkageError e) {
      throw new GpuMonitorException(
          "JavaCPP's CUDA presets cannot be opened: "
              + root(e)
              + ". They need libcudart.so.13 of the CUDA toolkit: install that, or put its folder on"
              + " LD_LIBRARY_PATH",
          e);
    }
    return new JavaCppNvml();
  }

  private static String root(Throwable failure) {
    Throwable root = failure;
    while (root.getCause() != null) {
      root = root.getCause();
    }
    return root.getMessage();
  }

  @Override
  public String driverVersion() throws GpuMonitorException {
    byte[] text = new byte[TEXT_BYTES];
    check(nvml.nvmlSystemGetDriverVersion(text, text.length), "nvmlSystemGetDriverVersion");
    return string(text);
  }

  @Override
  public int cudaVersion() throws GpuMonitorException {
    int[] version = new int[1];
    check(nvml.nvmlSystemGetCudaDriverVersion_v2(version), "nvmlSystemGetCudaDriverVersion_v2");
    return version[0];
  }

  @Override
  public int count() throws GpuMonitorException {
    int[] count = new int[1];
    check(nvml.nvmlDeviceGetCount_v2(count), "nvmlDeviceGetCount_v2");
    return count[0];
  }

  @Override
  public Gpu gpu(int index) throws GpuMonitorException {
    nvmlDevice_st device = device(index);
    byte[] name = new byte[TEXT_BYTES];
    check(nvml.nvmlDeviceGetName(device, name, name.length), "nvmlDeviceGetName");
    try (nvmlPciInfo_t pci = new nvmlPciInfo_t()) {
      check(nvml.nvmlDeviceGetPciInfo_v3(device, pci), "nvmlDeviceGetPciInfo_v3");
      PciAddress address = new PciAddress(pci.domain(), pci.bus(), pci.device());
      return new Gpu(index, string(name), address.toString(), memory(device)[0]);
    }
  }

  @Override
  public GpuReading read(int index) throws GpuMonitorException {
    nvmlDevice_st device = device(index);
    long[] memory = memory(device);
    OptionalInt busy = OptionalInt.empty();
    OptionalInt memoryBusy = OptionalInt.empty();
    try (nvmlUtilization_t rates = new nvmlUtilization_t()) {
      if (isThere(
          nvml.nvmlDeviceGetUtilizationRates(device, rates), "nvmlDeviceGetUtilizationRates")) {
        busy = OptionalInt.of(rates.gpu());
        memoryBusy = OptionalInt.of(rates.memory());
      }
    }
    int[] value = new int[1];
    return new GpuReading(
        System.nanoTime(),
        memory[0],
        memory[1],
        busy,
        memoryBusy,
        watts(nvml.nvmlDeviceGetPowerUsage(device, value), "nvmlDeviceGetPowerUsage", value),
        watts(
            nvml.nvmlDeviceGetEnforcedPowerLimit(device, value),
            "nvmlDeviceGetEnforcedPowerLimit",
            value),
        number(temperature(device, value), "nvmlDeviceGetTemperature", value),
        number(
            nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_SM, value),
            "nvmlDeviceGetClockInfo",
            value),
        number(
            nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_MEM, value),
            "nvmlDeviceGetClockInfo",
            value));
  }

  @Override
  public void shutDown() {
    nvml.nvmlShutdown();
  }

  private static nvmlDevice_st device(int index) throws GpuMonitorException {
    nvmlDevice_st device = new nvmlDevice_st();
    check(nvml.nvmlDeviceGetHandleByIndex_v2(index, device), "nvmlDeviceGetHandleByIndex_v2");
    return device;
  }

  @SuppressWarnings("deprecation") // its successor has not been there as long as CUDA 13
  private static int temperature(nvmlDevice_st device, int[] celsius) {
    return nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU, celsius);
  }

  /** Total and used, in bytes. */
  private static long[] memory(nvmlDevice_st device) throws GpuMonitorException {
    try (nvmlMemory_t memory = new nvmlMemory_t()) {
      check(nvml.nvmlDeviceGetMemoryInfo(device, memory), "nvmlDeviceGetMemoryInfo");
      return new long[] {memory.total(), memory.used()};
    }
  }

  private static OptionalInt number(int status, String function, int[] value)
      throws GpuMonitorException {
    return isThere(status, function) ? OptionalInt.of(value[0]) : OptionalInt.empty();
  }

  /** NVML counts in milliwatts. */
  private static OptionalDouble watts(int status, String function, int[] value)
      throws GpuMonitorException {
    return isThere(status, function) ? OptionalDouble.of(value[0] / 1e3) : OptionalDouble.empty();
  }

  private static boolean isThere(int status, String function) throws GpuMonitorException {
    if (status == nvml.NVML_ERROR_NOT_SUPPORTED) {
      return false;
    }
    check(status, function);
    return true;
  }

  private static void check(int status, String function) throws GpuMonitorException {
    if (status != nvml.NVML_SUCCESS) {
      throw new GpuMonitorException(
          function
              + ": "
              + nvml.nvmlErrorString(status).getString()
              + " (NVML error "
              + status
              + "). Run nvidia-smi, which asks the driver the same");
    }
  }

  private static String string(byte[] text) {
    int length = 0;
    while (length < text.length && text[length] != 0) {
      length++;
    }
    return new String(text, 0, length, StandardCharsets.UTF_8);
  }
}
