// Several neighbouring elements in one access to memory, and 16-bit elements as floats.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "backend/cuda/element_type.h"
#include "core/error.h"

namespace weir::cuda {

// 16 bytes of 16-bit elements.
constexpr int32_t kVectorWidth = 8;

// Accesses are of at most 16 bytes.
template <typename T, int32_t kWidth>
struct alignas(sizeof(T) * kWidth < 16 ? sizeof(T) * kWidth : 16) Vector {
  T element[kWidth];
};

// `from` is a multiple of the vector's alignment.
template <int32_t kWidth, typename T>
__device__ __forceinline__ Vector<T, kWidth> load_vector(const T* from) {
  return *reinterpret_cast<const Vector<T, kWidth>*>(from);
}

template <int32_t kWidth, typename T>
__device__ __forceinline__ void store_vector(T* to, const Vector<T, kWidth>& vector) {
  *reinterpret_cast<Vector<T, kWidth>*>(to) = vector;
}

__device__ __forceinline__ float to_float(__half x) { return __half2float(x); }
__device__ __forceinline__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename T>
__device__ __forceinline__ T from_float(float x);
template <>
__device__ __forceinline__ __half from_float<__half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ __forceinline__ __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

// Calls `body` with a null pointer to the C++ type of activations of `type`.
template <typename Body>
void with_activation_type(ElementType type, Body&& body) {
  switch (type) {
    case ElementType::kF16:
      return body(static_cast<__half*>(nullptr));
    case ElementType::kBf16:
      return body(static_cast<__nv_bfloat16*>(nullptr));
    default:
      throw Error(WEIR_INTERNAL, "activations on CUDA are fp16 or bf16");
  }
}

}  // namespace weir::cuda
