package dev.weir.runtime;

/**
 * What a device is.
 *
 * @param kind what computes
 * @param ordinal which GPU; 0 for the CPU
 * @param threads operator threads; 1 for {@link DeviceKind#CPU_REFERENCE}, 0 for {@link
 *     DeviceKind#CUDA}
 * @param precision the numbers that models on it compute with; never {@link Precision#DEFAULT}
 * @param memoryTotal bytes of memory
 * @param memoryAvailable bytes of memory that were free at the time of the call
 * @param name the model of the processor, such as "AMD EPYC 9B14"
 * @param matmul who multiplies matrices, such as "own AVX-512 kernels, oneDNN 3.11.0", or why
 *     oneDNN does not
 * @param computeCapability of a GPU, major * 10 + minor, such as 80; 0 for the CPU
 * @param multiprocessors of a GPU; 0 for the CPU
 * @param pciBusId of a GPU, such as "0000:17:00.0"; empty for the CPU
 */
public record DeviceInfo(
    DeviceKind kind,
    int ordinal,
    int threads,
    Precision precision,
    long memoryTotal,
    long memoryAvailable,
    String name,
    String matmul,
    int computeCapability,
    int multiprocessors,
    String pciBusId) {}
