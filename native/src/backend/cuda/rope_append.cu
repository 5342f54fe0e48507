// Rotary position embedding of a step's queries and keys, and its keys and values into the paged pool. The
// maths is in 32-bit floats; keys that are kept in 8 bits are quantised from the rotated floats.
#include "backend/cuda/attention_kernels.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/ptx.h"

namespace weir::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kVector = 8;  // 16-bit elements in 16 bytes

struct RopeParameters {
  KvLayout layout;
  int32_t layer;
  int32_t heads;
  BlockDivider divider;
  DeviceBatch batch;
  const float* rotations;
  void* qkv;
  unsigned char* pool;
};

// Where a row's key or value of one head is kept.
struct Place {
  unsigned char* elements;  // [head_size]
  float* scale;             // where the type has one
};

__device__ __forceinline__ Place place_of(const RopeParameters& p, int64_t row, int32_t position,
                                          int64_t tile) {
  const int32_t index = p.divider.block(position);
  const int32_t slot = p.divider.slot(position, index);
  const int32_t block = p.batch.block_tables[p.batch.table_starts[p.batch.entry_of_token[row]] + index];
  unsigned char* const elements = p.pool + p.layout.tile_offset(block, tile) +
                                  int64_t{slot} * p.layout.head_size * p.layout.element.bytes;
  auto* const scales = reinterpret_cast<float*>(p.pool + p.layout.scales_offset(block, tile));
  return {elements, scales + slot};
}

// The factor of elements for a largest magnitude; 0 for 0.
__device__ __forceinline__ float inverse_of(float scale) { return scale > 0 ? 1.0f / scale : 0.0f; }

// Eight elements, at a multiple of eight from the beginning of a head.
template <ElementType kKv>
__device__ __forceinline__ void store_elements(unsigned char* to, const float (&values)[kVector],
                                               float inverse) {
  if constexpr (kKv == ElementType::kF16 || kKv == ElementType::kBf16) {
    *reinterpret_cast<uint4*>(to) =
        make_uint4(pack_pair<kKv>(values[0], values[1]), pack_pair<kKv>(values[2], values[3]),
                   pack_pair<kKv>(values[4], values[5]), pack_pair<kKv>(values[6], values[7]));
  } else {
    unsigned char bytes[kVector];
#pragma unroll
    for (int i = 0; i < kVector; i++) store_element<kKv>(bytes + i, 0, values[i] * inverse);
    uint32_t words[2];
#pragma unroll
    for (int w = 0; w < 2; w++) {
      words[w] = bytes[4 * w] | static_cast<uint32_t>(bytes[4 * w + 1]) << 8 |
                 static_cast<uint32_t>(bytes[4 * w + 2]) << 16 |
                 static_cast<uint32_t>(bytes[4 * w + 3]) << 24;
    }
    *reinterpret_cast<uint2*>(to) = make_uint2(words[0], words[1]);
  }
}

// Heads of 16, 32, 64, 128 or 256: kPairLanes lanes share a head, each with eight elements of its first half
// and the eight that they are rotated with. grid: [rows][heads of all kinds by as many as a block takes].
template <ElementType kType, ElementType kKv, int kHeadSize>
__global__ void __launch_bounds__(kThreads) rope_kernel(const RopeParameters p) {
  constexpr int kHalf = kHeadSize / 2;
  constexpr int kPairLanes = kHalf / kVector;
  const int64_t row = blockIdx.x;
  griddepcontrol_launch_dependents();
  const int32_t position = p.batch.positions[row];
  const int32_t all_heads = p.heads + 2 * p.layout.kv_heads;
  const int32_t thread = static_cast<int32_t>(blockIdx.y * kThreads + threadIdx.x);
  // Lanes without a head of their own go along with the last one, since lanes exchange their maxima.
  const int32_t head = min(thread / kPairLanes, all_heads - 1);
  const bool own = thread / kPairLanes < all_heads;
  const int lane = thread % kPairLanes;
  const bool is_value = head >= p.heads + p.layout.kv_heads;

  float rotation[2 * kVector];
  if (!is_value) {
    const float* const from = p.rotations + int64_t{max(position, 0)} * kHeadSize + lane * 2 * kVector;
#pragma unroll
    for (int i = 0; i < 2 * kVector; i += 4) {
      const float4 part = *reinterpret_cast<const float4*>(from + i);
      rotation[i] = part.x;
      rotation[i + 1] = part.y;
      rotation[i + 2] = part.z;
      rotation[i + 3] = part.w;
    }
  }
  griddepcontrol_wait();
  if (position < 0) return;
  auto* const at =
      static_cast<Activation<kType>*>(p.qkv) + (row * all_heads + head) * kHeadSize + lane * kVector;
  float first[kVector];
  float second[kVector];
  unpack<kType>(*reinterpret_cast<const uint4*>(at), first);
  unpack<kType>(*reinterpret_cast<const uint4*>(at + kHalf), second);
  if (!is_value) {
#pragma unroll
    for (int i = 0; i < kVector; i++) {
      const float cosine = rotation[2 * i];
      const float sine = rotation[2 * i + 1];
      const float a = first[i];
      const float b = second[i];
      first[i] = a * cosine - b * sine;
      second[i] = b * cosine + a * sine;
    }
  }
  float scale = 0;
  if constexpr (kIsScaled<kKv>) {
    float magnitude = 0;
#pragma unroll
    for (int i = 0; i < kVector; i++) magnitude = fmaxf(magnitude, fmaxf(fabsf(first[i]), fabsf(second[i])));
#pragma unroll
    for (int distance = kPairLanes / 2; distance > 0; distance /= 2) {
      magnitude = fmaxf(magnitude, __shfl_xor_sync(kAllLanes, magnitude, distance));
    }
    scale = magnitude / kLargestElement<kKv>;
  }
  if (!own) return;
  if (!is_value) {
    store_elements<kType>(reinterpret_cast<unsigned char*>(at), first, 1);
    store_elements<kType>(reinterpret_cast<unsigned char*>(at + kHalf), second, 1);
  }
  if (head < p.heads) return;
  const int64_t tile = is_value ? p.layout.value_tile_index(p.layer, head - p.heads - p.layout.kv_heads)
                                : p.layout.key_tile_index(p.layer, head - p.heads);
  const Place place = place_of(p, row, position, tile);
  const float inverse = inverse_of(scale);
  store_elements<kKv>(place.elements + lane * kVector * bytes_of(kKv), first, inverse);
  store_elements<kKv>(place.elements + (lane * kVector + kHalf) * bytes_of(kKv), second, inverse);
  if constexpr (kIsScaled<kKv>) {
    if (lane == 0) *place.scale = scale;
  }
}

// Any even head size: a warp to a head.
template <ElementType kType, ElementType kKv>
__global__ void __launch_bounds__(kThreads) general_rope_kernel(const RopeParameters p) {
  const int64_t row = blockIdx.x;
  griddepcontrol_launch_dependents();
  griddepcontrol_wait();
  const int32_t position = p.batch.positions[row];
  if (position < 0) return;
  const int32_t size = p.layout.head_size;
  const int32_t half = size / 2;
  const int32_t all_heads = p.heads + 2 * p.layout.kv_heads;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int32_t head = static_cast<int32_t>((blockIdx.y * kThreads + threadIdx.x) / kLanes);
  if (head >= all_heads) return;
  const bool is_value = head >= p.heads + p.layout.kv_heads;
  const int64_t at = (row * all_heads + head) * size;
  const auto rotated = [&](int32_t i, float& first, float& second) {
    first = load_element<kType>(p.qkv, at + i);
    second = load_element<kType>(p.qkv, at + half + i);
    if (is_value) return;
    const float cosine = p.rotations[int64_t{position} * size + 2 * i];
    const float sine = p.rotations[int64_t{position} * size + 2 * i + 1];
    const float a = first;
    const float b = second;
    first = a * cosine - b * sine;
    second = b * cosine + a * sine;
  };
  const auto store_rotated = [&](int32_t i, float first, float second) {
    if (is_value) return;
    store_element<kType>(p.qkv, at + i, first);
    store_element<kType>(p.qkv, at + half + i, second);
  };
  if (head < p.heads) {
    for (int32_t i = lane; i < half; i += kLanes) {
      float first;
      float second;
      rotated(i, first, second);
      store_rotated(i, first, second);
    }
    return;
  }
  const int64_t tile = is_value ? p.layout.value_tile_index(p.layer, head - p.heads - p.layout.kv_heads)
                                : p.layout.key_tile_index(p.layer, head - p.heads);
  const Place place = place_of(p, row, position, tile);
  float inverse = 1;
  if constexpr (kIsScaled<kKv>) {
    float magnitude = 0;
    for (int32_t i = lane; i < half; i += kLanes) {
      float first;
      float second;
      rotated(i, first, second);
      magnitude = fmaxf(magnitude, fmaxf(fabsf(first), fabsf(second)));
    }
    const float scale = warp_max(magnitude) / kLargestElement<kKv>;
    inverse = inverse_of(scale);
    if (lane == 0) *place.scale = scale;
  }
  for (int32_t i = lane; i < half; i += kLanes) {
    float first;
    float second;
    rotated(i, first, second);
    store_element<kKv>(place.elements, i, first * inverse);
    store_element<kKv>(place.elements, half + i, second * inverse);
    store_rotated(i, first, second);
  }
}

template <ElementType kType, ElementType kKv>
void launch_rope(cudaStream_t stream, const RopeParameters& p, int64_t rows) {
  const int32_t all_heads = p.heads + 2 * p.layout.kv_heads;
  const auto with = [&](auto kernel, int32_t lanes_of_head) {
    const int64_t blocks = (int64_t{all_heads} * lanes_of_head + kThreads - 1) / kThreads;
    const LaunchShape shape{dim3(static_cast<uint32_t>(rows), static_cast<uint32_t>(blocks)), dim3(kThreads),
                            0, true};
    launch(kernel, shape, stream, p);
  };
  switch (p.layout.head_size) {
    case 64:
      return with(rope_kernel<kType, kKv, 64>, 4);
    case 128:
      return with(rope_kernel<kType, kKv, 128>, 8);
    default:
      return with(general_rope_kernel<kType, kKv>, kLanes);
  }
}

template <ElementType kType>
void launch_rope(cudaStream_t stream, const QkvShape& shape, const RopeParameters& p, int64_t rows) {
  switch (element_type_of(shape.layout.element.precision)) {
    case ElementType::kInt8:
      return launch_rope<kType, ElementType::kInt8>(stream, p, rows);
    case ElementType::kFp8:
      return launch_rope<kType, ElementType::kFp8>(stream, p, rows);
    default:
      return launch_rope<kType, kType>(stream, p, rows);
  }
}

}  // namespace

void rope_append(cudaStream_t stream, const QkvShape& shape, const DeviceBatch& batch, const float* rotations,
                 void* qkv, void* pool, int64_t rows) {
  const RopeParameters p{shape.layout, shape.layer, shape.heads, BlockDivider(shape.layout.block_size),
                         batch,        rotations,   qkv,         static_cast<unsigned char*>(pool)};
  if (shape.type == ElementType::kBf16) {
    launch_rope<ElementType::kBf16>(stream, shape, p, rows);
  } else {
    launch_rope<ElementType::kF16>(stream, shape, p, rows);
  }
}

}  // namespace weir::cuda
