// How kernels are launched. For .cu files.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "backend/cuda/current_device.h"
#include "backend/cuda/error.h"

// Declares `unsigned char* name`: the dynamic shared memory of the block, aligned for bulk copies.
#if defined(__CUDACC__)
#define WEIR_DYNAMIC_SHARED(name) extern __shared__ __align__(128) unsigned char name[]
#else
#include "emulator/block.h"
#define WEIR_DYNAMIC_SHARED(name) unsigned char* const name = ::emulator::dynamic_shared()
#endif

namespace weir::cuda {

struct LaunchShape {
  dim3 grid;
  dim3 block;
  size_t shared_bytes = 0;  // dynamic; more than 48 KiB only after allow_shared_bytes
  // The kernel may begin while the one before it on the stream is ending (sm_90): it must call
  // griddepcontrol_wait() of ptx.h before it reads what that one writes.
  bool overlaps_previous = false;
};

// Throws like check(). The arguments are copied.
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchShape& shape, cudaStream_t stream,
            Arguments&&... arguments) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = shape.overlaps_previous && current_compute_capability >= 90 ? 1 : 0;
  check(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), "launching a kernel");
}

// Lets launches of `kernel` ask for up to `bytes` of dynamic shared memory. Once, before any capture.
template <typename... Parameters>
void allow_shared_bytes(void (*kernel)(Parameters...), size_t bytes) {
  check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "asking for shared memory");
}

}  // namespace weir::cuda
