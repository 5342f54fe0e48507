// Keywords, built-in variables and barriers of CUDA C++.
#pragma once

#include "emulator/block.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
// All threads of a block run on one thread of the operating system, and it runs one block at a time. Before
// each block the variables are filled with 0xFF bytes.
#define __shared__ static thread_local

// Those of the thread that runs, changed at each switch. Constant in CUDA; here the emulator sets them.
extern "C" {
extern __thread uint3 threadIdx __attribute__((tls_model("initial-exec")));
extern __thread uint3 blockIdx __attribute__((tls_model("initial-exec")));
extern __thread uint3 blockDim __attribute__((tls_model("initial-exec")));
extern __thread uint3 gridDim __attribute__((tls_model("initial-exec")));
}
inline constexpr int warpSize = 32;

inline void __syncthreads(emulator::Location here = emulator::Location::here()) {
  emulator::meet_block(here);
}

inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_system() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// A wait for other threads in a loop must give them a chance to run.
inline void __nanosleep(unsigned int) { emulator::yield(); }

[[noreturn]] inline void __trap(emulator::Location here = emulator::Location::here()) {
  emulator::fail_kernel(cudaErrorLaunchFailure, "__trap()", here);
}
