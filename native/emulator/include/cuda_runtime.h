// Device code of Weir as C++ for the CPU: keywords, built-in variables and functions of CUDA, and the
// templates that launch kernels. A .cu file compiled with this header must keep to what backend/cuda/launch.h
// and ptx.h offer for launches, dynamic shared memory and PTX. __CUDACC__ and __CUDA_ARCH__ stay undefined.
#pragma once

// 800 or 900: the architecture whose path through the kernels is compiled.
#if !defined(WEIR_EMULATED_ARCHITECTURE)
#define WEIR_EMULATED_ARCHITECTURE 900
#endif

#include <tuple>
#include <type_traits>
#include <utility>

#include "cuda_runtime_api.h"
#include "emulator/atomics.h"
#include "emulator/block.h"
#include "emulator/builtins.h"
#include "emulator/device_math.h"
#include "emulator/warp.h"

template <class T>
cudaError_t cudaMalloc(T** pointer, size_t bytes) {
  return cudaMalloc(reinterpret_cast<void**>(pointer), bytes);
}

template <class T>
cudaError_t cudaMallocHost(T** pointer, size_t bytes, unsigned int flags = cudaHostAllocDefault) {
  return cudaHostAlloc(reinterpret_cast<void**>(pointer), bytes, flags);
}

template <class Result, class... Parameters>
cudaError_t cudaFuncSetAttribute(Result (*kernel)(Parameters...), cudaFuncAttribute attribute, int value) {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), attribute, value);
}

template <class Result, class... Parameters>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Result (*kernel)(Parameters...),
                                                          int block_size, size_t dynamic_shared_bytes) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, reinterpret_cast<const void*>(kernel),
                                                       block_size, dynamic_shared_bytes);
}

// cudaLaunchKernelExC is missing: it does not say what types the arguments have.
template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  static_assert((std::is_trivially_copyable_v<Parameters> && ...),
                "kernel arguments are copied byte by byte");
  using Packed = std::tuple<Parameters...>;
  static_assert(sizeof(Packed) <= 4096, "a kernel takes at most 4 KiB of arguments");
  const Packed packed(std::forward<Arguments>(arguments)...);
  const auto invoke = [](const void* function, const void* values) {
    std::apply(reinterpret_cast<void (*)(Parameters...)>(const_cast<void*>(function)),
               *static_cast<const Packed*>(values));
  };
  if (config == nullptr) return cudaErrorInvalidValue;
  return emulator::launch(*config, reinterpret_cast<const void*>(kernel), invoke, &packed, sizeof packed,
                          WEIR_EMULATED_ARCHITECTURE);
}
