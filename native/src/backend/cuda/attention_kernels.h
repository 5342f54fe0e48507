// What the attention kernels share. For .cu files.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "backend/cuda/attention_plan.h"
#include "backend/cuda/kv_element.h"
#include "backend/cuda/operators.h"
#include "backend/kv_layout.h"

namespace weir::cuda {

constexpr int kLanes = 32;
constexpr uint32_t kAllLanes = 0xffffffffu;

// Where the keys and values of one layer lie in the pool, in bytes; worked out once, so that finding a tile
// takes no more than a multiplication.
struct LayerOffsets {
  LayerOffsets() = default;
  LayerOffsets(const KvLayout& layout, int32_t layer)
      : block(layout.block_bytes()),
        keys(layout.tile_offset(0, layout.key_tile_index(layer, 0))),
        head(layout.tile_offset(0, 1)),
        key_scales(layout.scales_offset(0, layout.key_tile_index(layer, 0))),
        head_scales(layout.scales_offset(0, 1) - layout.scales_offset(0, 0)) {}

  int64_t block;        // from a block to the next
  int64_t keys;         // from the block to the keys of the first head
  int64_t head;         // from the keys (or values) of a head to those of the next
  int64_t key_scales;   // as keys, of their scales
  int64_t head_scales;  // as head, of the scales
};

// The argument of every attention kernel.
struct AttentionParameters {
  KvLayout layout;
  LayerOffsets offsets;
  int32_t layer;
  int32_t heads;
  int32_t group;       // query heads of a KV head
  float scale;         // of scores, times log2(e): weights are powers of two
  int32_t max_chunks;  // partial results of a row
  BlockDivider divider;
  DeviceBatch batch;
  const void* lists;  // of the attention plan
  const void* qkv;
  const unsigned char* pool;
  void* out;
  int32_t* finished_chunks;  // [decode rows][heads], zero between launches
  float* partial_sums;       // [decode rows][max_chunks][heads][head_size]
  float2* partial_softmax;   // [decode rows][max_chunks][heads]: largest score, sum of weights
};

AttentionParameters attention_parameters(const AttentionArguments& arguments);

// The launchers behind attention(), and what prepare_attention() asks of each.
void prepare_decode(const QkvShape& shape, const AttentionLimits& limits, AttentionLaunch& launch);
void decode_attention(cudaStream_t stream, const AttentionArguments& arguments);
void prepare_tensor(const QkvShape& shape, const AttentionLimits& limits, AttentionLaunch& launch);
void grouped_decode_attention(cudaStream_t stream, const AttentionArguments& arguments);
void prefill_attention(cudaStream_t stream, const AttentionArguments& arguments);
void general_attention(cudaStream_t stream, const AttentionArguments& arguments);

// Whether there are kernels for tiles in shared memory; else general_attention does everything.
constexpr bool has_tiled_kernels(int32_t head_size) { return head_size == 64 || head_size == 128; }

constexpr float kNoScore = -__builtin_huge_valf();

__device__ __forceinline__ float warp_max(float value) {
#pragma unroll
  for (int distance = kLanes / 2; distance > 0; distance /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}

__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
  for (int distance = kLanes / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, distance);
  }
  return value;
}

// 2^(score - largest), 0 where there is no score, although there may be no largest one either.
__device__ __forceinline__ float weight_of(float score, float largest) {
  return exp2f(score - (largest == kNoScore ? 0.0f : largest));
}

// Two or four consecutive floats.
template <int kElements>
__device__ __forceinline__ void load_floats(const float* from, float (&values)[kElements]) {
  static_assert(kElements == 2 || kElements == 4);
  if constexpr (kElements == 4) {
    const float4 loaded = *reinterpret_cast<const float4*>(from);
    values[0] = loaded.x;
    values[1] = loaded.y;
    values[2] = loaded.z;
    values[3] = loaded.w;
  } else {
    const float2 loaded = *reinterpret_cast<const float2*>(from);
    values[0] = loaded.x;
    values[1] = loaded.y;
  }
}

template <int kElements>
__device__ __forceinline__ void store_floats(float* to, const float (&values)[kElements]) {
  static_assert(kElements % 4 == 0 || kElements == 2);
  if constexpr (kElements == 2) {
    *reinterpret_cast<float2*>(to) = make_float2(values[0], values[1]);
  } else {
#pragma unroll
    for (int i = 0; i < kElements; i += 4) {
      *reinterpret_cast<float4*>(to + i) =
          make_float4(values[i], values[i + 1], values[i + 2], values[i + 3]);
    }
  }
}

// The lanes' consecutive parts of one row of a result.
template <ElementType kType, int kElements>
__device__ __forceinline__ void store_result(void* out, int64_t index, const float (&values)[kElements]) {
  static_assert(kElements == 2 || kElements == 4);
  auto* const to = static_cast<Activation<kType>*>(out) + index;
  if constexpr (kElements == 4) {
    *reinterpret_cast<uint2*>(to) =
        make_uint2(pack_pair<kType>(values[0], values[1]), pack_pair<kType>(values[2], values[3]));
  } else {
    *reinterpret_cast<uint32_t*>(to) = pack_pair<kType>(values[0], values[1]);
  }
}

// Ends the work on one head of one chunk, by one warp. `sums` are the lane's kHeadSize / 32 weighted sums of
// values, not yet divided by `sum_of_weights`. A row of one chunk is written; otherwise the partial result is
// kept, and the warp whose chunk is the last to end merges those of the row, in the order of the chunks
// whichever ended last, so that no second kernel has to start. All lanes call it together.
template <ElementType kType, int kHeadSize>
__device__ __forceinline__ void finish_chunk(const AttentionParameters& p, const DecodeWork& work,
                                             int32_t head, float largest, float sum_of_weights,
                                             float (&sums)[kHeadSize / kLanes]) {
  constexpr int kElements = kHeadSize / kLanes;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int64_t result = (int64_t{work.row} * p.heads + head) * kHeadSize + lane * kElements;
  if (work.chunks > 1) {
    const int64_t first = int64_t{work.slot} * p.max_chunks * p.heads + head;
    const int64_t own = first + int64_t{work.chunk} * p.heads;
    store_floats(p.partial_sums + own * kHeadSize + lane * kElements, sums);
    if (lane == 0) p.partial_softmax[own] = make_float2(largest, sum_of_weights);
    __threadfence();
    __syncwarp();
    int32_t* const finished = p.finished_chunks + int64_t{work.slot} * p.heads + head;
    int32_t before = 0;
    if (lane == 0) before = atomicAdd(finished, 1);
    before = __shfl_sync(kAllLanes, before, 0);
    if (before != work.chunks - 1) return;
    if (lane == 0) *finished = 0;
    __threadfence();
    __syncwarp();

    largest = kNoScore;
    for (int32_t chunk = lane; chunk < work.chunks; chunk += kLanes) {
      largest = fmaxf(largest, p.partial_softmax[first + int64_t{chunk} * p.heads].x);
    }
    largest = warp_max(largest);
    sum_of_weights = 0;
#pragma unroll
    for (int i = 0; i < kElements; i++) sums[i] = 0;
    for (int32_t base = 0; base < work.chunks; base += kLanes) {
      const int32_t count = work.chunks - base < kLanes ? work.chunks - base : kLanes;
      float factor = 0;
      if (lane < count) {
        const float2 softmax = p.partial_softmax[first + int64_t{base + lane} * p.heads];
        factor = weight_of(softmax.x, largest);
        sum_of_weights += factor * softmax.y;
      }
#pragma unroll 4
      for (int32_t i = 0; i < count; i++) {
        const float of_chunk = __shfl_sync(kAllLanes, factor, i);
        float partial[kElements];
        load_floats(p.partial_sums + (first + int64_t{base + i} * p.heads) * kHeadSize + lane * kElements,
                    partial);
#pragma unroll
        for (int j = 0; j < kElements; j++) sums[j] += of_chunk * partial[j];
      }
    }
    sum_of_weights = warp_sum(sum_of_weights);
  }
  const float inverse = 1.0f / sum_of_weights;
#pragma unroll
  for (int i = 0; i < kElements; i++) sums[i] *= inverse;
  store_result<kType>(p.out, result, sums);
}

}  // namespace weir::cuda
