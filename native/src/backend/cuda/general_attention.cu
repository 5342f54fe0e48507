// Attention for head sizes that there are no tiles for: any even one up to 256, for decodes and prefills, not
// at the speed of memory. A block of threads takes one query head of one row; the warps share the context by
// 32 tokens.
#include "backend/cuda/attention_kernels.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/ptx.h"

namespace weir::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kLanes;
constexpr int kLargestHead = 256;
constexpr int kLaneElements = kLargestHead / kLanes;

template <ElementType kType, ElementType kKv>
__global__ void __launch_bounds__(kThreads) general_kernel(const AttentionParameters p) {
  __shared__ float query[kLargestHead];
  __shared__ float2 softmax[kWarps];
  __shared__ float found[kWarps * kLargestHead];
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  const KvLayout& layout = p.layout;
  const int32_t size = layout.head_size;
  const int64_t row = blockIdx.x / static_cast<uint32_t>(p.heads);
  const int32_t head = static_cast<int32_t>(blockIdx.x - row * p.heads);
  griddepcontrol_launch_dependents();
  griddepcontrol_wait();
  const int32_t position = p.batch.positions[row];
  if (position < 0) return;
  const int64_t first_element = (row * (p.heads + 2 * layout.kv_heads) + head) * size;
  for (int32_t d = static_cast<int32_t>(threadIdx.x); d < size; d += kThreads) {
    query[d] = load_element<kType>(p.qkv, first_element + d) * p.scale;
  }
  __syncthreads();

  const int32_t* const table = p.batch.block_tables + p.batch.table_starts[p.batch.entry_of_token[row]];
  const int64_t key_tile = layout.key_tile_index(p.layer, head / p.group);
  const int64_t value_tile = layout.value_tile_index(p.layer, head / p.group);
  float largest = kNoScore;
  float sum_of_weights = 0;
  float sums[kLaneElements] = {};
  for (int32_t first = warp * kLanes; first <= position; first += kThreads) {
    const int32_t token = min(first + lane, position);
    const int32_t index = p.divider.block(token);
    const int32_t slot = p.divider.slot(token, index);
    const int32_t block = table[index];
    const unsigned char* const keys = p.pool + layout.tile_offset(block, key_tile);
    float score = 0;
    for (int32_t d = 0; d < size; d++) {
      score = fmaf(query[d], load_element<kKv>(keys, int64_t{slot} * size + d), score);
    }
    float value_scale = 1;
    if constexpr (kIsScaled<kKv>) {
      score *= reinterpret_cast<const float*>(p.pool + layout.scales_offset(block, key_tile))[slot];
      value_scale = reinterpret_cast<const float*>(p.pool + layout.scales_offset(block, value_tile))[slot];
    }
    if (first + lane > position) score = kNoScore;
    const float now_largest = fmaxf(largest, warp_max(score));
    const float correction = weight_of(largest, now_largest);
    largest = now_largest;
    float weight = weight_of(score, largest);
    sum_of_weights = sum_of_weights * correction + weight;
    weight *= value_scale;
#pragma unroll
    for (int j = 0; j < kLaneElements; j++) sums[j] *= correction;
    const int32_t count = min(kLanes, position + 1 - first);
    for (int32_t t = 0; t < count; t++) {
      const float of_token = __shfl_sync(kAllLanes, weight, t);
      const int32_t of_block = __shfl_sync(kAllLanes, block, t);
      const int32_t of_slot = __shfl_sync(kAllLanes, slot, t);
      const unsigned char* const values = p.pool + layout.tile_offset(of_block, value_tile);
#pragma unroll
      for (int j = 0; j < kLaneElements; j++) {
        const int32_t d = j * kLanes + lane;
        if (d < size) {
          sums[j] = fmaf(of_token, load_element<kKv>(values, int64_t{of_slot} * size + d), sums[j]);
        }
      }
    }
  }
  sum_of_weights = warp_sum(sum_of_weights);
  if (lane == 0) softmax[warp] = make_float2(largest, sum_of_weights);
#pragma unroll
  for (int j = 0; j < kLaneElements; j++) found[warp * kLargestHead + j * kLanes + lane] = sums[j];
  __syncthreads();

  largest = kNoScore;
  for (int w = 0; w < kWarps; w++) largest = fmaxf(largest, softmax[w].x);
  float factors[kWarps];
  float whole = 0;
#pragma unroll
  for (int w = 0; w < kWarps; w++) {
    factors[w] = weight_of(softmax[w].x, largest);
    whole += factors[w] * softmax[w].y;
  }
  for (int32_t d = static_cast<int32_t>(threadIdx.x); d < size; d += kThreads) {
    float sum = 0;
#pragma unroll
    for (int w = 0; w < kWarps; w++) sum += factors[w] * found[w * kLargestHead + d];
    store_element<kType>(p.out, (row * p.heads + head) * size + d, sum / whole);
  }
}

template <ElementType kType, typename Use>
void with_kv(const QkvShape& shape, const Use& use) {
  switch (element_type_of(shape.layout.element.precision)) {
    case ElementType::kInt8:
      return use(general_kernel<kType, ElementType::kInt8>);
    case ElementType::kFp8:
      return use(general_kernel<kType, ElementType::kFp8>);
    default:
      return use(general_kernel<kType, kType>);
  }
}

}  // namespace

void general_attention(cudaStream_t stream, const AttentionArguments& arguments) {
  const auto use = [&](auto kernel) {
    const dim3 grid(static_cast<uint32_t>(arguments.rows * arguments.shape.heads));
    launch(kernel, LaunchShape{grid, dim3(kThreads), 0, true}, stream, attention_parameters(arguments));
  };
  if (arguments.shape.type == ElementType::kBf16) {
    with_kv<ElementType::kBf16>(arguments.shape, use);
  } else {
    with_kv<ElementType::kF16>(arguments.shape, use);
  }
}

}  // namespace weir::cuda
