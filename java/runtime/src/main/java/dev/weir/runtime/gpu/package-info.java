/**
 * What the NVIDIA driver tells of the GPUs of this machine: which there are, their memory,
 * utilisation, power, temperature and clocks. By NVML, through JavaCPP's CUDA presets; nothing of
 * them is touched before the driver was found, and nothing of it is needed to compute.
 */
package dev.weir.runtime.gpu;
