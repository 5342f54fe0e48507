// The order in which kernels on tensor cores add up the products of one output: the same in each of them, so
// that they give the same bits, whatever the number of rows.
//
// The inputs are cut into chunks of kChunk, and the chunks into kSlices slices of neighbours. A slice is
// summed up chunk by chunk, with two instructions for each, and then the sums of the slices are added, from
// the first to the last, to zero. Within a chunk, lanes 4 g + q of a warp hold inputs 8 q .. 8 q + 7 of row
// g: 16 bytes that lie together, the first four of them for the first instruction, the others for the second.
// That is not the order that the instruction's own numbering of inputs suggests, but weights and x are
// numbered alike, and so a fragment is read in one access straight from a row.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "backend/cuda/ptx.h"
#include "backend/cuda/vector.h"
#include "core/host_device.h"

namespace weir::cuda {

constexpr int32_t kChunk = 32;
constexpr int32_t kSlices = 8;

WEIR_HOST_DEVICE inline int32_t chunks_of(int64_t in_size) {
  return static_cast<int32_t>((in_size + kChunk - 1) / kChunk);
}

// The first chunk of a slice; that of slice kSlices is the end.
WEIR_HOST_DEVICE inline int32_t slice_begin(int32_t chunks, int32_t slice) {
  return static_cast<int32_t>(int64_t{chunks} * slice / kSlices);
}

template <typename T>
__device__ __forceinline__ void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
template <>
__device__ __forceinline__ void mma<__half>(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  mma_m16n8k16_f16(d, a, b);
}
template <>
__device__ __forceinline__ void mma<__nv_bfloat16>(float (&d)[4], const uint32_t (&a)[4],
                                                   const uint32_t (&b)[2]) {
  mma_m16n8k16_bf16(d, a, b);
}

// Adds one chunk: sum += weights * x^T of 16 outputs and 8 rows of x. `low` and `high` are the lane's inputs
// of weights g and g + 8, `x` those of row g. sum[0], sum[1] are for output g and rows 2 q, 2 q + 1; sum[2],
// sum[3] for output g + 8.
template <typename T>
__device__ __forceinline__ void add_chunk(float (&sum)[4], const uint4& low, const uint4& high,
                                          const uint4& x) {
  mma<T>(sum, {low.x, high.x, low.y, high.y}, {x.x, x.y});
  mma<T>(sum, {low.z, high.z, low.w, high.w}, {x.z, x.w});
}

}  // namespace weir::cuda
