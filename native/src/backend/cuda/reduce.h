// Reductions and prefix sums over the threads of a warp or a block. The order of the operations depends on
// the size of the block alone. All threads of the warp or block call them together; blocks are whole warps.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace weir::cuda {

constexpr int32_t kWarpSize = 32;
constexpr int32_t kMaxWarps = 32;
constexpr uint32_t kAllLanes = 0xFFFFFFFFu;

__device__ __forceinline__ int32_t lane_of_thread() { return static_cast<int32_t>(threadIdx.x) % kWarpSize; }
__device__ __forceinline__ int32_t warp_of_thread() { return static_cast<int32_t>(threadIdx.x) / kWarpSize; }
__device__ __forceinline__ int32_t warps_of_block() { return static_cast<int32_t>(blockDim.x) / kWarpSize; }

struct Add {
  template <typename T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a + b;
  }
};

struct Minimum {
  template <typename T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return b < a ? b : a;
  }
};

// Every lane gets the result, bitwise the same if `combine` is commutative.
template <typename T, typename Combine>
__device__ __forceinline__ T warp_reduce(T value, Combine combine) {
#pragma unroll
  for (int32_t distance = kWarpSize / 2; distance > 0; distance /= 2) {
    value = combine(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}

// Every thread gets the result. `identity` leaves the other operand of `combine` as it is.
template <typename T, typename Combine>
__device__ T block_reduce(T value, Combine combine, T identity) {
  __shared__ T of_warp[kMaxWarps];
  value = warp_reduce(value, combine);
  __syncthreads();  // an earlier call may still be reading
  if (lane_of_thread() == 0) of_warp[warp_of_thread()] = value;
  __syncthreads();
  const T other = lane_of_thread() < warps_of_block() ? of_warp[lane_of_thread()] : identity;
  return warp_reduce(other, combine);
}

template <typename T>
__device__ __forceinline__ T block_sum(T value) {
  return block_reduce(value, Add{}, T{0});
}

// The sum of the values of this lane and those before it.
template <typename T>
__device__ __forceinline__ T warp_inclusive_sum(T value) {
#pragma unroll
  for (int32_t distance = 1; distance < kWarpSize; distance *= 2) {
    const T before = __shfl_up_sync(kAllLanes, value, static_cast<uint32_t>(distance));
    if (lane_of_thread() >= distance) value += before;
  }
  return value;
}

template <typename T>
struct PrefixSum {
  T before;  // of the threads before this one
  T total;   // of all threads
};

template <typename T>
__device__ PrefixSum<T> block_prefix_sum(T value) {
  __shared__ T of_warp[kMaxWarps];
  const T inclusive = warp_inclusive_sum(value);
  __syncthreads();  // an earlier call may still be reading
  if (lane_of_thread() == kWarpSize - 1) of_warp[warp_of_thread()] = inclusive;
  __syncthreads();
  const T sum = lane_of_thread() < warps_of_block() ? of_warp[lane_of_thread()] : T{0};
  const T through = warp_inclusive_sum(sum);
  const T before_warp = __shfl_sync(kAllLanes, through - sum, warp_of_thread());
  return {before_warp + inclusive - value, __shfl_sync(kAllLanes, through, kWarpSize - 1)};
}

}  // namespace weir::cuda
