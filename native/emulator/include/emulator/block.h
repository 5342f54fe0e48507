// What emulated device code calls to meet the other threads of its block. Only the emulator's other headers
// use it.
//
// Every CUDA thread is a fiber. A thread that waits hands the processor to another thread of its block; which
// one is drawn at random from the seed. All threads of a block run on one thread of the operating system.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda_runtime_api.h"

namespace emulator {

// A place in the source.
struct Location {
  const char* file;
  int line;

  // As a default argument: where the function is called.
  static constexpr Location here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

// Computes the result of a warp function for every lane in `lanes`, when all of them have arrived.
// operands[lane] is the lane's own operand, which lives on the lane's stack; the result is written into it.
using Evaluate = void (*)(uint32_t lanes, void* const* operands);

// Waits until every lane in `mask` that has not ended has called it with the same mask and operation.
void meet_warp(uint32_t mask, const char* operation, void* operand, Evaluate evaluate, Location location);

// Waits until every thread of the block that has not ended has called it.
void meet_block(Location location);

// Lets other threads run.
void yield();

// Lane of the calling thread in its warp.
unsigned int lane_id();

// The dynamic shared memory of the block, of exactly the size that the launch asked for, aligned to 1024
// bytes.
unsigned char* dynamic_shared();

// Ends the kernel with `error`, which becomes the device's sticky error. `message` says what the kernel did
// wrong.
[[noreturn]] void fail_kernel(cudaError_t error, const char* message, Location location);

// Asynchronous copies into shared memory; see emulator/ptx.h.
void copy_async(void* shared, const void* global, uint32_t copied, uint32_t zeroed, Location location);
void commit_copies();
void wait_copies(int pending);

// Barriers in shared memory and the bulk copies that signal them; see emulator/ptx.h.
void barrier_initialize(uint64_t* barrier, uint32_t arrivals, Location location);
void barrier_arrive(uint64_t* barrier, uint32_t transaction_bytes, Location location);
bool barrier_try_wait(uint64_t* barrier, uint32_t parity, Location location);
void copy_bulk(void* shared, const void* global, uint32_t bytes, uint64_t* barrier, Location location);

// Waits for the kernel that a programmatic dependent launch overlaps with: blocks of such launches are begun
// before that kernel runs, now and then, so that what they read too early is seen.
void wait_for_preceding_kernel();

// Calls a kernel with its arguments, for one thread.
using Invoke = void (*)(const void* kernel, const void* arguments);

// Puts a launch into the stream. The arguments are copied. `architecture` is what the kernel was compiled
// for, as in WEIR_EMULATED_ARCHITECTURE.
cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel, Invoke invoke, const void* arguments,
                   size_t argument_bytes, int architecture);

}  // namespace emulator
