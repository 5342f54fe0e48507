// What a test can tell the emulator and ask it. C functions, so that they can be called from any language.
// All are safe to call from any thread.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Forgets all queued work, faults, counters and the sticky error, and takes the settings of the environment
// again. Live memory, streams, events and graphs stay.
void weir_emulator_reset(void);

// Number of devices; 0 makes every call fail with cudaErrorNoDevice. Default 1.
void weir_emulator_set_device_count(int32_t count);

// Not 0: every call fails with cudaErrorInsufficientDriver, as on a machine without libcuda.so.1.
void weir_emulator_set_driver_missing(int32_t missing);

// Size of the device's memory. Default 8 GiB.
void weir_emulator_set_device_memory(uint64_t bytes);

// Compute capability of the device, 80 or 90, for its properties and limits; kernels compiled for more do not
// launch. Default: the environment's WEIR_EMULATOR_ARCHITECTURE, or 90.
void weir_emulator_set_architecture(int32_t architecture);

// Default 4.
void weir_emulator_set_multiprocessors(int32_t multiprocessors);

// Number of threads that blocks run on. Default: the environment's WEIR_EMULATOR_THREADS, or 1, which runs
// everything in the same order for the same seed.
void weir_emulator_set_threads(int32_t threads);

// Seed of the order in which streams, blocks, warps and lanes run, and of when asynchronous copies land.
// Default: the environment's WEIR_EMULATOR_SEED, or 1.
void weir_emulator_set_seed(uint64_t seed);

// Makes the n-th next call of a function ("cudaMalloc", "cublasLtMatmul"; n = 1 is the next one) fail with
// `error`, and if sticky is not 0 every call of it after that as well. n = 0 takes the fault back. The call
// has no other effect.
void weir_emulator_fail_call(const char* function, int64_t n, int32_t error, int32_t sticky);

// Makes the n-th next kernel that runs fail with `error`: the call that waits for it returns the error, and
// so does every call after that until weir_emulator_reset(). n = 0 takes the fault back.
void weir_emulator_fail_launch(int64_t n, int32_t error);

// Makes the n-th next kernel that runs hang for some time before it does its work. n = 0 takes the fault
// back.
void weir_emulator_hang_launch(int64_t n, int64_t milliseconds);

struct weir_emulator_counters {
  uint64_t kernels;           // that ran, in graphs too
  uint64_t launches;          // calls that put a kernel into a stream or a graph
  uint64_t graph_launches;    // calls of cudaGraphLaunch
  uint64_t host_to_device;    // bytes copied
  uint64_t device_to_host;    // bytes copied
  uint64_t device_to_device;  // bytes copied
  uint64_t allocations;       // calls of cudaMalloc that succeeded
  uint64_t live_allocations;  // of device memory, now
  uint64_t live_bytes;        // of device memory, now
  uint64_t live_pinned;       // allocations of pinned host memory, now
  uint64_t live_streams;      // now
  uint64_t live_events;       // now
  uint64_t live_graphs;       // graphs and executable graphs, now
  uint64_t synchronizations;  // calls that waited for the device
};

void weir_emulator_get_counters(struct weir_emulator_counters* counters);

// Copies what the last failed kernel did wrong into `text`, cut to `size` - 1 characters; "" if none failed
// since the reset.
void weir_emulator_last_message(char* text, uint64_t size);

#ifdef __cplusplus
}
#endif
