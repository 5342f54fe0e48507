package dev.weir.runtime.gpu;

/**
 * A GPU that the driver knows, whether CUDA may use it or not.
 *
 * @param index NVML's number of it, which need not be CUDA's
 * @param name such as "NVIDIA H200"
 * @param pciBusId such as "0000:17:00.0", by which {@link dev.weir.runtime.DeviceInfo#pciBusId()}
 *     is found again
 * @param memoryTotal bytes
 */
public record Gpu(int index, String name, String pciBusId, long memoryTotal) {}
