// Decode attention where every query head has its own KV head, at the speed of memory.
//
// A warp reads its keys and values through a ring of stages in shared memory that nobody else touches, so
// that no barrier stands between a copy and its use, and it goes on filling the ring across the pieces of
// work: the copies never run dry between them. The warps of a block share a chunk of the context, tile by
// tile, and meet once for each chunk, when one of them, in turns, adds up what they found.
//
// Operations are on the CUDA cores: with one query to a key there is one multiplication for each element
// read, a sixth of what they can do meanwhile (benchmarks/gpu/LOG.md).
#include <algorithm>

#include "backend/cuda/attention_kernels.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/ptx.h"

namespace weir::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kLanes;
// Of a warp's ring: one is computed with while the other is under way.
constexpr int kStages = 2;
// Tokens that are contiguous in a block whose size is a multiple of it: what one bulk copy takes.
[[maybe_unused]] constexpr int kPieceTokens = 16;

// How a warp deals with a tile of keys and one of values. A token is spread over kTokenLanes lanes, each of
// which has 16 bytes of it; in step i of kSteps the warp is at the tokens i * kTokensAtOnce and following.
template <ElementType kKv, int kHeadSize>
struct Tiling {
  static constexpr int kElements = kPerAccess<kKv>;
  static constexpr int kTokenLanes = kHeadSize / kElements;
  static constexpr int kTokensAtOnce = kLanes / kTokenLanes;
  static constexpr int kTokens = kTokenLanes == 16 ? 16 : 32;
  static constexpr int kSteps = kTokens / kTokensAtOnce;
  static constexpr int kRowBytes = kHeadSize * bytes_of(kKv);
  static constexpr int kTileBytes = kTokens * kRowBytes;
  static constexpr int kScaleBytes = kIsScaled<kKv> ? kTokens * int{sizeof(float)} : 0;
  // Keys, values, scales of keys, scales of values.
  static constexpr int kStageBytes = 2 * (kTileBytes + kScaleBytes);
  static_assert(kTokenLanes % kSteps == 0 && kStageBytes % 128 == 0);
  // Which lane has the score of step i of the tokens that it is at itself: see sum_over_lanes().
  static constexpr int kLanesPerStep = kTokenLanes / kSteps;
};

template <ElementType kKv, int kHeadSize>
struct SharedMemory {
  static constexpr int kRingBytes = kStages * Tiling<kKv, kHeadSize>::kStageBytes;
  static constexpr int kBarriers = kWarps * kRingBytes;
  static constexpr int kSoftmax = kBarriers + kWarps * kStages * int{sizeof(uint64_t)};
  // What the warps found, twice: one is added up while the next is being written.
  static constexpr int kSums = kSoftmax + 2 * kWarps * int{sizeof(float2)};
  static constexpr int kBytes = kSums + 2 * kWarps * kHeadSize * int{sizeof(float)};
};

// Sums each of the kSteps values over the kTokenLanes lanes of a token. Halving the values at each exchange
// takes as many exchanges as there are values, where summing one by one takes a logarithm for each. Lane l
// of the token's lanes is left with value l / (kTokenLanes / kSteps).
template <int kSteps, int kTokenLanes>
__device__ __forceinline__ float sum_over_lanes(float (&values)[kSteps]) {
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  int distance = kTokenLanes / 2;
#pragma unroll
  for (int count = kSteps / 2; count > 0; count /= 2) {
    const bool upper = (lane & distance) != 0;
#pragma unroll
    for (int i = 0; i < count; i++) {
      const float kept = upper ? values[i + count] : values[i];
      const float sent = upper ? values[i] : values[i + count];
      values[i] = kept + __shfl_xor_sync(kAllLanes, sent, distance);
    }
    distance /= 2;
  }
#pragma unroll
  for (; distance > 0; distance /= 2) values[0] += __shfl_xor_sync(kAllLanes, values[0], distance);
  return values[0];
}

// The running softmax of a warp over the tiles of a chunk. The sum of weights and the weighted sums of values
// are still spread over the lanes.
template <ElementType kKv, int kHeadSize>
struct RunningSoftmax {
  using Tile = Tiling<kKv, kHeadSize>;
  float largest = kNoScore;
  float sum_of_weights = 0;
  float sums[Tile::kElements] = {};

  // Adds the first `count` tokens of a tile; `query` is the lane's part, times the scale of scores.
  __device__ __forceinline__ void add(const unsigned char* stage, int32_t count,
                                      const float (&query)[Tile::kElements]) {
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    const int of_token = lane % Tile::kTokenLanes;
    const int first_lane = lane - of_token;
    const unsigned char* const values = stage + Tile::kTileBytes;
    float scores[Tile::kSteps];
#pragma unroll
    for (int i = 0; i < Tile::kSteps; i++) {
      float keys[Tile::kElements];
      unpack<kKv>(*reinterpret_cast<const uint4*>(stage + (i * kLanes + lane) * 16), keys);
      scores[i] = 0;
#pragma unroll
      for (int e = 0; e < Tile::kElements; e++) scores[i] = fmaf(query[e], keys[e], scores[i]);
    }
    float score = sum_over_lanes<Tile::kSteps, Tile::kTokenLanes>(scores);
    const int own = of_token / Tile::kLanesPerStep * Tile::kTokensAtOnce + lane / Tile::kTokenLanes;
    const bool valid = own < count;
    if constexpr (kIsScaled<kKv>) {
      score *= reinterpret_cast<const float*>(stage + 2 * Tile::kTileBytes)[own];
    }
    // What lies beyond the context may be anything.
    if (!valid) score = kNoScore;
    const float now_largest = fmaxf(largest, warp_max(score));
    const float correction = weight_of(largest, now_largest);
    largest = now_largest;
    float weight = weight_of(score, largest);
    sum_of_weights = sum_of_weights * correction + weight;
    if constexpr (kIsScaled<kKv>) {
      const float* const scales =
          reinterpret_cast<const float*>(stage + 2 * Tile::kTileBytes + Tile::kScaleBytes);
      weight = valid ? weight * scales[own] : 0.0f;
    }
#pragma unroll
    for (int e = 0; e < Tile::kElements; e++) sums[e] *= correction;
#pragma unroll
    for (int i = 0; i < Tile::kSteps; i++) {
      const float of_step = __shfl_sync(kAllLanes, weight, first_lane + i * Tile::kLanesPerStep);
      float elements[Tile::kElements];
      unpack<kKv>(*reinterpret_cast<const uint4*>(values + (i * kLanes + lane) * 16), elements);
#pragma unroll
      for (int e = 0; e < Tile::kElements; e++) sums[e] = fmaf(of_step, elements[e], sums[e]);
    }
  }

  // Sums over the lanes and writes the result of the warp: `to` [head_size].
  __device__ __forceinline__ void write(float2* softmax, float* to) {
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    // With fewer values than lanes, several lanes counted the same token.
    if (lane % Tile::kLanesPerStep != 0) sum_of_weights = 0;
    sum_of_weights = warp_sum(sum_of_weights);
    if (lane == 0) *softmax = make_float2(largest, sum_of_weights);
#pragma unroll
    for (int distance = Tile::kTokenLanes; distance < kLanes; distance *= 2) {
#pragma unroll
      for (int e = 0; e < Tile::kElements; e++) sums[e] += __shfl_xor_sync(kAllLanes, sums[e], distance);
    }
    if (lane < Tile::kTokenLanes) store_floats(to + lane * Tile::kElements, sums);
  }
};

// Brings the tiles of one warp into its ring, in the order in which the warp will want them.
template <ElementType kKv, int kHeadSize, bool kBulk>
class TileReader {
 public:
  using Tile = Tiling<kKv, kHeadSize>;

  __device__ TileReader(const AttentionParameters& p, unsigned char* ring, uint64_t* barriers, int32_t units)
      : p_(p), ring_(ring), barriers_(barriers), units_(units), unit_(static_cast<int32_t>(blockIdx.x)) {
    if (unit_ < units_) enter_unit();
    find_tile();
  }

  // Whether the next tile has the newest token of its sequence, which the kernel before this one writes.
  __device__ __forceinline__ bool at_newest_token() const {
    return unit_ < units_ && work_.chunk == work_.chunks - 1 && first_ + Tile::kTokens >= work_.count;
  }

  // Starts copying the next tile, if there is one, into the stage that was used longest ago.
  __device__ __forceinline__ void fetch() {
    if (unit_ < units_) {
      copy_tile(ring_ + stage_ * Tile::kStageBytes);
      first_ += kWarps * Tile::kTokens;
      find_tile();
    }
    if constexpr (!kBulk) cp_async_commit();
    stage_ = stage_ + 1 == kStages ? 0 : stage_ + 1;
  }

 private:
  __device__ __forceinline__ void enter_unit() {
    const int32_t index = unit_ / p_.layout.kv_heads;
    work_ = decode_work(p_.lists)[index];
    head_ = unit_ - index * p_.layout.kv_heads;
    first_ = static_cast<int32_t>(threadIdx.x) / kLanes * Tile::kTokens;
    keys_ = p_.pool + p_.offsets.keys + head_ * p_.offsets.head;
    key_scales_ = p_.pool + p_.offsets.key_scales + head_ * p_.offsets.head_scales;
  }

  // Goes on to the next piece of work that has a tile for this warp.
  __device__ __forceinline__ void find_tile() {
    while (unit_ < units_ && first_ >= work_.count) {
      unit_ += static_cast<int32_t>(gridDim.x);
      if (unit_ < units_) enter_unit();
    }
  }

  __device__ __forceinline__ void copy_tile(unsigned char* stage) {
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    const int32_t count = min(Tile::kTokens, work_.count - first_);
    const int32_t* const table = p_.batch.block_tables + work_.table;
    const int64_t to_values = p_.layout.kv_heads * p_.offsets.head;
    [[maybe_unused]] const int64_t to_value_scales = p_.layout.kv_heads * p_.offsets.head_scales;
#if WEIR_SM90_FEATURES
    if constexpr (kBulk) {
      uint64_t* const barrier = barriers_ + stage_;
      constexpr int kPieces = Tile::kTokens / kPieceTokens;
      constexpr int kScaleBytes = kPieceTokens * int{sizeof(float)};
      const int32_t pieces = (count + kPieceTokens - 1) / kPieceTokens;
      if (lane == 0) {
        // The rows of the keys, of the values; the scales of whole pieces, as there is room for them.
        mbarrier_arrive_expect_tx(
            barrier, 2 * (count * Tile::kRowBytes + (kIsScaled<kKv> ? pieces * kScaleBytes : 0)));
      }
      __syncwarp();
      if (lane < kPieces && lane < pieces) {
        const int32_t position = work_.first + first_ + lane * kPieceTokens;
        const int32_t index = p_.divider.block(position);
        const int32_t slot = p_.divider.slot(position, index);
        const int32_t block = __ldg(table + index);
        const uint32_t bytes = min(kPieceTokens, count - lane * kPieceTokens) * Tile::kRowBytes;
        unsigned char* const to = stage + lane * kPieceTokens * Tile::kRowBytes;
        const unsigned char* const from = keys_ + block * p_.offsets.block + slot * Tile::kRowBytes;
        cp_async_bulk(to, from, bytes, barrier);
        cp_async_bulk(to + Tile::kTileBytes, from + to_values, bytes, barrier);
        if constexpr (kIsScaled<kKv>) {
          unsigned char* const scales = stage + 2 * Tile::kTileBytes + lane * kScaleBytes;
          const unsigned char* const from_scales =
              key_scales_ + block * p_.offsets.block + slot * int{sizeof(float)};
          cp_async_bulk(scales, from_scales, kScaleBytes, barrier);
          cp_async_bulk(scales + Tile::kScaleBytes, from_scales + to_value_scales, kScaleBytes, barrier);
        }
      }
      return;
    }
#endif
    // Each lane finds one token, or the last one, and tells the others where it is.
    const int32_t position = work_.first + first_ + min(lane, count - 1);
    const int32_t index = p_.divider.block(position);
    const int32_t slot = p_.divider.slot(position, index);
    const int32_t block = __ldg(table + index);
    const unsigned char* const from = keys_ + lane % Tile::kTokenLanes * 16;
#pragma unroll
    for (int i = 0; i < Tile::kSteps; i++) {
      const int token = i * Tile::kTokensAtOnce + lane / Tile::kTokenLanes;
      const int32_t of_block = __shfl_sync(kAllLanes, block, token);
      const int32_t of_slot = __shfl_sync(kAllLanes, slot, token);
      if (token >= count) continue;
      const unsigned char* const row = from + of_block * p_.offsets.block + of_slot * Tile::kRowBytes;
      unsigned char* const to = stage + (i * kLanes + lane) * 16;
      cp_async_16(to, row);
      cp_async_16(to + Tile::kTileBytes, row + to_values);
    }
    if constexpr (kIsScaled<kKv>) {
      // Too small for asynchronous copies of 16 bytes, and with any block size not aligned for them.
      static_assert(Tile::kTokens == kLanes);
      const unsigned char* const from_scales =
          key_scales_ + block * p_.offsets.block + slot * int{sizeof(float)};
      auto* const scales = reinterpret_cast<float*>(stage + 2 * Tile::kTileBytes);
      scales[lane] = *reinterpret_cast<const float*>(from_scales);
      scales[kLanes + lane] = *reinterpret_cast<const float*>(from_scales + to_value_scales);
    }
  }

  const AttentionParameters& p_;
  unsigned char* ring_;
  uint64_t* barriers_;
  int32_t units_;
  int32_t unit_;  // the piece of work that is being read: a chunk and one of the KV heads
  DecodeWork work_{};
  int32_t head_ = 0;
  const unsigned char* keys_ = nullptr;  // of the head in the first block of the pool
  const unsigned char* key_scales_ = nullptr;
  int32_t first_ = 0;  // token of the chunk that the next tile begins with
  int stage_ = 0;
};

template <ElementType kType, ElementType kKv, int kHeadSize, bool kBulk>
__global__ void __launch_bounds__(kThreads, 3) decode_kernel(const AttentionParameters p) {
#if !WEIR_SM90_FEATURES
  // Not launched there.
  if constexpr (kBulk) return;
#endif
  using Tile = Tiling<kKv, kHeadSize>;
  using Shared = SharedMemory<kKv, kHeadSize>;
  WEIR_DYNAMIC_SHARED(shared);
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  unsigned char* const ring = shared + warp * Shared::kRingBytes;
  auto* const barriers = reinterpret_cast<uint64_t*>(shared + Shared::kBarriers) + warp * kStages;
  auto* const softmax = reinterpret_cast<float2*>(shared + Shared::kSoftmax);
  auto* const found = reinterpret_cast<float*>(shared + Shared::kSums);
  griddepcontrol_launch_dependents();
#if WEIR_SM90_FEATURES
  if constexpr (kBulk) {
    if (lane == 0) {
      for (int s = 0; s < kStages; s++) mbarrier_init(barriers + s, 1);
      fence_mbarrier_init();
    }
    __syncwarp();
  }
#endif
  const int32_t units = static_cast<const AttentionPlanHeader*>(p.lists)->decode_work * p.layout.kv_heads;
  TileReader<kKv, kHeadSize, kBulk> reader(p, ring, barriers, units);
  // Keys and values of earlier steps are there before the kernel ahead of this one has ended.
  bool waited = false;
#pragma unroll
  for (int s = 0; s < kStages; s++) {
    if (!waited && reader.at_newest_token()) {
      griddepcontrol_wait();
      waited = true;
    }
    reader.fetch();
  }
  if (!waited) griddepcontrol_wait();

  int stage = 0;
  uint32_t phase = 0;
  int turn = 0;
  for (int32_t unit = static_cast<int32_t>(blockIdx.x); unit < units;
       unit += static_cast<int32_t>(gridDim.x)) {
    const int32_t index = unit / p.layout.kv_heads;
    const DecodeWork work = decode_work(p.lists)[index];
    const int32_t head = unit - index * p.layout.kv_heads;

    float query[Tile::kElements];
    {
      const auto* const from = static_cast<const Activation<kType>*>(p.qkv) +
                               (int64_t{work.row} * (p.heads + 2 * p.layout.kv_heads) + head) * kHeadSize +
                               lane % Tile::kTokenLanes * Tile::kElements;
#pragma unroll
      for (int e = 0; e < Tile::kElements; e += 8) {
        float part[8];
        unpack<kType>(*reinterpret_cast<const uint4*>(from + e), part);
#pragma unroll
        for (int i = 0; i < 8; i++) query[e + i] = part[i] * p.scale;
      }
    }

    RunningSoftmax<kKv, kHeadSize> running;
    for (int32_t first = warp * Tile::kTokens; first < work.count; first += kWarps * Tile::kTokens) {
      const int32_t count = min(Tile::kTokens, work.count - first);
      unsigned char* const at = ring + stage * Tile::kStageBytes;
#if WEIR_SM90_FEATURES
      if constexpr (kBulk) {
        while (!mbarrier_try_wait_parity(barriers + stage, phase)) {
        }
      }
#endif
      if constexpr (!kBulk) {
        cp_async_wait<kStages - 1>();
        __syncwarp();
      }
      if (count < Tile::kTokens) {
        // Values that were not copied are still multiplied, by a weight of 0.
        for (int i = 0; i < Tile::kSteps; i++) {
          if (i * Tile::kTokensAtOnce + lane / Tile::kTokenLanes >= count) {
            *reinterpret_cast<uint4*>(at + Tile::kTileBytes + (i * kLanes + lane) * 16) =
                make_uint4(0, 0, 0, 0);
          }
        }
#if WEIR_SM90_FEATURES
        if constexpr (kBulk) fence_proxy_async();
#endif
      }
      running.add(at, count, query);
      __syncwarp();
      reader.fetch();
      if (++stage == kStages) {
        stage = 0;
        phase ^= 1;
      }
    }

    float2* const softmax_of_turn = softmax + turn % 2 * kWarps;
    float* const found_in_turn = found + turn % 2 * kWarps * kHeadSize;
    running.write(softmax_of_turn + warp, found_in_turn + warp * kHeadSize);
    __syncthreads();
    if (turn % kWarps == warp) {
      constexpr int kElements = kHeadSize / kLanes;
      float largest = kNoScore;
#pragma unroll
      for (int w = 0; w < kWarps; w++) largest = fmaxf(largest, softmax_of_turn[w].x);
      float sum_of_weights = 0;
      float sums[kElements] = {};
#pragma unroll
      for (int w = 0; w < kWarps; w++) {
        const float factor = weight_of(softmax_of_turn[w].x, largest);
        sum_of_weights += factor * softmax_of_turn[w].y;
        float part[kElements];
        load_floats(found_in_turn + w * kHeadSize + lane * kElements, part);
#pragma unroll
        for (int i = 0; i < kElements; i++) sums[i] += factor * part[i];
      }
      finish_chunk<kType, kHeadSize>(p, work, head, largest, sum_of_weights, sums);
    }
    turn++;
  }
}

// Calls `use` with the kernel for the shape.
template <ElementType kType, ElementType kKv, typename Use>
void with_head_size(int32_t head_size, bool bulk, const Use& use) {
  if (head_size == 64) {
    use(bulk ? decode_kernel<kType, kKv, 64, true> : decode_kernel<kType, kKv, 64, false>,
        SharedMemory<kKv, 64>::kBytes);
  } else {
    use(bulk ? decode_kernel<kType, kKv, 128, true> : decode_kernel<kType, kKv, 128, false>,
        SharedMemory<kKv, 128>::kBytes);
  }
}

template <ElementType kType, typename Use>
void with_kv(const QkvShape& shape, bool bulk, const Use& use) {
  const int32_t size = shape.layout.head_size;
  switch (element_type_of(shape.layout.element.precision)) {
    case ElementType::kInt8:
      return with_head_size<kType, ElementType::kInt8>(size, bulk, use);
    case ElementType::kFp8:
      return with_head_size<kType, ElementType::kFp8>(size, bulk, use);
    default:
      return with_head_size<kType, kType>(size, bulk, use);
  }
}

template <typename Use>
void with_kernel(const QkvShape& shape, bool bulk, const Use& use) {
  if (shape.type == ElementType::kBf16) {
    with_kv<ElementType::kBf16>(shape, bulk, use);
  } else {
    with_kv<ElementType::kF16>(shape, bulk, use);
  }
}

}  // namespace

void prepare_decode(const QkvShape& shape, const AttentionLimits& limits, AttentionLaunch& launch) {
  with_kernel(shape, launch.bulk_copies, [&](auto kernel, int bytes) {
    allow_shared_bytes(kernel, bytes);
    int resident = 0;
    check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, kThreads, bytes),
          "asking for the occupancy of attention");
    launch.decode_blocks = std::max(1, resident) * limits.multiprocessors;
  });
}

void decode_attention(cudaStream_t stream, const AttentionArguments& arguments) {
  const AttentionLaunch& how = arguments.launch;
  with_kernel(arguments.shape, how.bulk_copies, [&](auto kernel, int bytes) {
    const LaunchShape shape{dim3(how.decode_blocks), dim3(kThreads), static_cast<size_t>(bytes), true};
    launch(kernel, shape, stream, attention_parameters(arguments));
  });
}

}  // namespace weir::cuda
