// Conversions between 32-bit floats and the elements of activations, keys and values. For kernels.
//
// int8 and fp8 (e4m3) elements have one scale for each (token, head): the largest magnitude of the head's
// elements over the largest number of the type. An element is the nearest number to value / scale.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <cstdint>
#include <cstring>

#include "backend/cuda/element_type.h"

namespace weir::cuda {

// The C++ type of activations.
template <ElementType kType>
struct ActivationOf;
template <>
struct ActivationOf<ElementType::kF16> {
  using Type = __half;
};
template <>
struct ActivationOf<ElementType::kBf16> {
  using Type = __nv_bfloat16;
};
template <ElementType kType>
using Activation = typename ActivationOf<kType>::Type;

// Elements in 16 bytes, the widest access of a thread.
template <ElementType kType>
constexpr int kPerAccess = 16 / bytes_of(kType);

template <ElementType kType>
constexpr bool kIsScaled = kType == ElementType::kInt8 || kType == ElementType::kFp8;

// The largest number that scaled elements hold.
template <ElementType kType>
constexpr float kLargestElement = kType == ElementType::kInt8 ? 127.0f : 448.0f;

template <typename To, typename From>
__device__ __forceinline__ To same_bits(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

// The elements in four bytes.
template <ElementType kType>
__device__ __forceinline__ void unpack_word(const uint32_t word, float* out) {
  if constexpr (kType == ElementType::kF16) {
    const float2 pair = __half22float2(same_bits<__half2>(word));
    out[0] = pair.x;
    out[1] = pair.y;
  } else if constexpr (kType == ElementType::kBf16) {
    out[0] = __uint_as_float(word << 16);
    out[1] = __uint_as_float(word & 0xffff0000u);
  } else if constexpr (kType == ElementType::kInt8) {
    // The bits of 2^23 + 128 + x; converting integers is four times slower than adding.
    const uint32_t biased = word ^ 0x80808080u;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      out[i] = __uint_as_float(__byte_perm(biased, 0x4b000000u, 0x7640 + i)) - (8388608.0f + 128.0f);
    }
  } else {
    static_assert(kType == ElementType::kFp8);
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const __half2_raw halves =
          __nv_cvt_fp8x2_to_halfraw2(static_cast<__nv_fp8x2_storage_t>(word >> (16 * i)), __NV_E4M3);
      const float2 pair = __half22float2(__half2(halves));
      out[2 * i] = pair.x;
      out[2 * i + 1] = pair.y;
    }
  }
}

// The elements in 16 bytes, without their scale. The words are taken by value: through a reference the
// compiler loads them one by one.
template <ElementType kType>
__device__ __forceinline__ void unpack(uint4 words, float (&out)[kPerAccess<kType>]) {
  constexpr int kPerWord = kPerAccess<kType> / 4;
  unpack_word<kType>(words.x, out);
  unpack_word<kType>(words.y, out + kPerWord);
  unpack_word<kType>(words.z, out + 2 * kPerWord);
  unpack_word<kType>(words.w, out + 3 * kPerWord);
}

// Two activations in a word, `a` in the low half.
template <ElementType kType>
__device__ __forceinline__ uint32_t pack_pair(float a, float b) {
  if constexpr (kType == ElementType::kF16) {
    return same_bits<uint32_t>(__floats2half2_rn(a, b));
  } else {
    static_assert(kType == ElementType::kBf16);
    return same_bits<uint32_t>(__floats2bfloat162_rn(a, b));
  }
}

template <ElementType kType>
__device__ __forceinline__ float load_element(const void* from, int64_t index) {
  if constexpr (kType == ElementType::kF16) {
    return __half2float(static_cast<const __half*>(from)[index]);
  } else if constexpr (kType == ElementType::kBf16) {
    return __bfloat162float(static_cast<const __nv_bfloat16*>(from)[index]);
  } else if constexpr (kType == ElementType::kInt8) {
    return static_cast<float>(static_cast<const int8_t*>(from)[index]);
  } else {
    static_assert(kType == ElementType::kFp8);
    const __half_raw half =
        __nv_cvt_fp8_to_halfraw(static_cast<const __nv_fp8_storage_t*>(from)[index], __NV_E4M3);
    return __half2float(__half(half));
  }
}

// Scaled types: `value` is the element divided by its scale already.
template <ElementType kType>
__device__ __forceinline__ void store_element(void* to, int64_t index, float value) {
  if constexpr (kType == ElementType::kF16) {
    static_cast<__half*>(to)[index] = __float2half_rn(value);
  } else if constexpr (kType == ElementType::kBf16) {
    static_cast<__nv_bfloat16*>(to)[index] = __float2bfloat16_rn(value);
  } else if constexpr (kType == ElementType::kInt8) {
    const int32_t nearest = __float2int_rn(value);
    static_cast<int8_t*>(to)[index] = static_cast<int8_t>(nearest < -127  ? -127
                                                          : nearest > 127 ? 127
                                                                          : nearest);
  } else {
    static_assert(kType == ElementType::kFp8);
    static_cast<__nv_fp8_storage_t*>(to)[index] = __nv_cvt_float_to_fp8(value, __NV_SATFINITE, __NV_E4M3);
  }
}

}  // namespace weir::cuda
