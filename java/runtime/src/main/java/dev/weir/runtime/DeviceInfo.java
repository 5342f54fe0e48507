package dev.weir.runtime;

/**
 * What a device is.
 *
 * @param kind what computes
 * @param ordinal which GPU; 0 for the CPU
 * @param threads operator threads; 1 for {@link DeviceKind#CPU_REFERENCE}
 * @param memoryTotal bytes of memory
 * @param memoryAvailable bytes of memory that were free at the time of the call
 * @param name the model of the processor, such as "AMD EPYC 9B14 (avx512f)"
 * @param matmul who multiplies matrices: "oneDNN 3.11.0", or why it is not oneDNN
 */
public record DeviceInfo(
    DeviceKind kind,
    int ordinal,
    int threads,
    long memoryTotal,
    long memoryAvailable,
    String name,
    String matmul) {}
