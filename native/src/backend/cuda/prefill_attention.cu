// Attention on the tensor cores: of prefills, and of decodes whose query heads share KV heads. One kernel
// with two ways to divide a tile of 64 tokens among four warps:
//  - prefill: each warp has 16 of the 64 packed rows, and all tokens of the tile;
//  - decode: each warp has all query heads of the KV head, up to 16, and 16 tokens of the tile. It has copied
//    these itself, so that the warps need not meet before the end of the chunk.
// Scores and sums are in 32-bit floats; the softmax is that of Milakov and Gimelshein (2018), tile by tile.
// Tiles begin at multiples of 64 tokens, and a token that a row may not see adds an exact zero to its
// numbers: they do not depend on where prefills are cut or on what else is in the batch.
#include <algorithm>

#include "backend/cuda/attention_kernels.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/ptx.h"

namespace weir::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kLanes;
constexpr int kTileTokens = 64;
constexpr int kWarpRows = 16;    // of a matrix of the tensor cores
constexpr int kWarpTokens = 16;  // of a tile that one warp copies
constexpr int kChunkBytes = 16;
static_assert(kPrefillRows == kWarps * kWarpRows && kTileTokens == kWarps * kWarpTokens);
static_assert(kChunkGranularity % kTileTokens == 0);

template <ElementType kKv, int kHeadSize>
struct Tiling {
  static constexpr int kStages = !kIsScaled<kKv> && kHeadSize == 64 ? 3 : 2;
  static constexpr int kRowBytes = kHeadSize * bytes_of(kKv);
  static constexpr int kTileBytes = kTileTokens * kRowBytes;
  static constexpr int kScaleBytes = kIsScaled<kKv> ? kTileTokens * int{sizeof(float)} : 0;
  // Keys, values, scales of keys, scales of values, as they come from the pool.
  static constexpr int kStageBytes = 2 * (kTileBytes + kScaleBytes);
  // Rows of 16-bit elements as the tensor cores take them.
  static constexpr int kOperandRowBytes = kHeadSize * 2;
  static constexpr int kOperandBytes = kTileTokens * kOperandRowBytes;

  static constexpr int kOperands = kStages * kStageBytes;
  static constexpr int kPrefillBytes = kOperands + (kIsScaled<kKv> ? 2 * kOperandBytes : 0);
  // Decode: what the warps found, [warp][16] of the softmax and [warp][rows][head_size] of sums, in rows that
  // are padded so that lanes write to different banks.
  static constexpr int kSoftmax = kPrefillBytes;
  static constexpr int kSums = kSoftmax + kWarps * kWarpRows * int{sizeof(float2)};
  static constexpr int kSumsRow = kHeadSize + 8;
  static constexpr int decode_bytes(int rows) {
    return kSums + kWarps * rows * kSumsRow * int{sizeof(float)};
  }
};

// Where a piece of 16 bytes lies in a tile of operands: in its row, but moved so that eight rows, which the
// tensor cores load together, are in different banks.
__device__ __forceinline__ int swizzled(int row, int chunk, int row_bytes) {
  return row * row_bytes + (chunk ^ (row & 7)) * kChunkBytes;
}

// One tile loop: which tokens of which sequence, for which KV head.
struct Unit {
  int64_t table;
  int32_t first;   // token
  int32_t tokens;  // from there
  int32_t kv_head;
  int32_t index;      // of the work in its list
  int32_t first_row;  // decode: query head of the group that the packed rows begin with
};

// The query heads of a group are dealt with in sets of this many.
__host__ __device__ __forceinline__ int32_t row_sets(int32_t group) {
  return (group + kWarpRows - 1) / kWarpRows;
}

template <bool kDecode>
__device__ __forceinline__ Unit unit_at(const AttentionParameters& p, int32_t number) {
  Unit unit;
  if constexpr (kDecode) {
    const int32_t sets = row_sets(p.group);
    const int32_t heads = p.layout.kv_heads * sets;
    unit.index = number / heads;
    const int32_t head = number - unit.index * heads;
    unit.kv_head = head / sets;
    unit.first_row = (head - unit.kv_head * sets) * kWarpRows;
    const DecodeWork work = decode_work(p.lists)[unit.index];
    unit.table = work.table;
    unit.first = work.first;
    unit.tokens = work.count;
  } else {
    unit.index = number / p.layout.kv_heads;
    unit.kv_head = number - unit.index * p.layout.kv_heads;
    const PrefillWork work = prefill_work(p.lists)[unit.index];
    unit.first_row = work.packed_row;
    unit.table = work.table;
    unit.first = 0;
    unit.tokens = visible_tokens(work, p.group);
  }
  return unit;
}

// Brings the tiles of a block of threads into shared memory, in the order in which they are wanted. Each warp
// copies 16 tokens of a tile.
template <ElementType kKv, int kHeadSize, bool kDecode>
class TileReader {
 public:
  using Tile = Tiling<kKv, kHeadSize>;

  __device__ TileReader(const AttentionParameters& p, unsigned char* ring, int32_t units)
      : p_(p), ring_(ring), units_(units), number_(static_cast<int32_t>(blockIdx.x)) {
    if (number_ < units_) enter_unit();
  }

  __device__ __forceinline__ void fetch() {
    if (number_ < units_) {
      copy_tile(ring_ + stage_ * Tile::kStageBytes);
      first_ += kTileTokens;
      if (first_ >= unit_.tokens) {
        number_ += static_cast<int32_t>(gridDim.x);
        if (number_ < units_) enter_unit();
      }
    }
    cp_async_commit();
    stage_ = stage_ + 1 == Tile::kStages ? 0 : stage_ + 1;
  }

 private:
  __device__ __forceinline__ void enter_unit() {
    unit_ = unit_at<kDecode>(p_, number_);
    first_ = 0;
    keys_ = p_.pool + p_.offsets.keys + unit_.kv_head * p_.offsets.head;
  }

  __device__ __forceinline__ void copy_tile(unsigned char* stage) {
    constexpr int kRowLanes = Tile::kRowBytes / kChunkBytes;
    constexpr int kRowsAtOnce = kLanes / kRowLanes;
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    const int first_row = static_cast<int>(threadIdx.x) / kLanes * kWarpTokens;
    const int32_t left = unit_.tokens - first_;
    // Each lane finds one token, or the last one, and tells the others where it is.
    const int32_t position = unit_.first + first_ + min(first_row + lane % kWarpTokens, left - 1);
    const int32_t index = p_.divider.block(position);
    const int32_t slot = p_.divider.slot(position, index);
    const int32_t block = __ldg(p_.batch.block_tables + unit_.table + index);
    const int64_t to_values = p_.layout.kv_heads * p_.offsets.head;
    const int chunk = lane % kRowLanes;
#pragma unroll
    for (int i = 0; i < kWarpTokens / kRowsAtOnce; i++) {
      const int of_warp = i * kRowsAtOnce + lane / kRowLanes;
      const int row = first_row + of_warp;
      const int32_t of_block = __shfl_sync(kAllLanes, block, of_warp);
      const int32_t of_slot = __shfl_sync(kAllLanes, slot, of_warp);
      const unsigned char* const from =
          keys_ + of_block * p_.offsets.block + of_slot * Tile::kRowBytes + chunk * kChunkBytes;
      // Rows beyond the context become zeros: they are multiplied, by weights of 0.
      const uint32_t bytes = row < left ? kChunkBytes : 0;
      unsigned char* const to = stage + (kIsScaled<kKv> ? row * Tile::kRowBytes + chunk * kChunkBytes
                                                        : swizzled(row, chunk, Tile::kRowBytes));
      cp_async_16_zero_fill(to, from, bytes);
      cp_async_16_zero_fill(to + Tile::kTileBytes, from + to_values, bytes);
    }
    if constexpr (kIsScaled<kKv>) {
      // The lower half of the warp takes the scales of keys, the upper those of values.
      const bool of_values = lane >= kWarpTokens;
      const int row = first_row + lane % kWarpTokens;
      const unsigned char* const from =
          p_.pool + p_.offsets.key_scales +
          (unit_.kv_head + (of_values ? p_.layout.kv_heads : 0)) * p_.offsets.head_scales +
          block * p_.offsets.block + slot * int{sizeof(float)};
      auto* const to = reinterpret_cast<float*>(stage + 2 * Tile::kTileBytes) + (of_values ? kTileTokens : 0);
      to[row] = row < left ? *reinterpret_cast<const float*>(from) : 0.0f;
    }
  }

  const AttentionParameters& p_;
  unsigned char* ring_;
  int32_t units_;
  int32_t number_;
  Unit unit_{};
  const unsigned char* keys_ = nullptr;  // of the head in the first block of the pool
  int32_t first_ = 0;                    // token of the unit that the next tile begins with
  int stage_ = 0;
};

// Turns the 16 tokens of a stage that the warp has copied into operands.
template <ElementType kType, ElementType kKv, int kHeadSize>
__device__ __forceinline__ void dequantize(const unsigned char* stage, unsigned char* operands) {
  using Tile = Tiling<kKv, kHeadSize>;
  constexpr int kRowLanes = Tile::kRowBytes / kChunkBytes;
  constexpr int kRowsAtOnce = kLanes / kRowLanes;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int chunk = lane % kRowLanes;
  const auto* const scales = reinterpret_cast<const float*>(stage + 2 * Tile::kTileBytes);
#pragma unroll
  for (int i = 0; i < kWarpTokens / kRowsAtOnce; i++) {
    const int row = static_cast<int>(threadIdx.x) / kLanes * kWarpTokens + i * kRowsAtOnce + lane / kRowLanes;
#pragma unroll
    for (int kind = 0; kind < 2; kind++) {
      float values[16];
      unpack<kKv>(*reinterpret_cast<const uint4*>(stage + kind * Tile::kTileBytes + row * Tile::kRowBytes +
                                                  chunk * kChunkBytes),
                  values);
      const float scale = scales[kind * kTileTokens + row];
      uint32_t pairs[8];
#pragma unroll
      for (int e = 0; e < 8; e++) {
        pairs[e] = pack_pair<kType>(values[2 * e] * scale, values[2 * e + 1] * scale);
      }
      unsigned char* const to = operands + kind * Tile::kOperandBytes;
      *reinterpret_cast<uint4*>(to + swizzled(row, 2 * chunk, Tile::kOperandRowBytes)) =
          make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
      *reinterpret_cast<uint4*>(to + swizzled(row, 2 * chunk + 1, Tile::kOperandRowBytes)) =
          make_uint4(pairs[4], pairs[5], pairs[6], pairs[7]);
    }
  }
}

template <ElementType kType>
__device__ __forceinline__ void multiply(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  const uint32_t b[2] = {b0, b1};
  if constexpr (kType == ElementType::kF16) {
    mma_m16n8k16_f16(sums, a, b);
  } else {
    mma_m16n8k16_bf16(sums, a, b);
  }
}

// 16 packed rows against kTokens tokens of each tile, by one warp. A lane has two of the rows, lane / 4 and
// lane / 4 + 8, each with three other lanes.
template <ElementType kType, int kHeadSize, int kTokens>
struct RunningSoftmax {
  float largest[2] = {kNoScore, kNoScore};
  float sum_of_weights[2] = {};
  float sums[kHeadSize / 8][4] = {};

  // Adds tokens [first_token, first_token + kTokens) of the tiles at `keys` and `values`. Row r sees those
  // before visible[r], counted from first_token; `masked` says whether any row sees fewer than all.
  __device__ __forceinline__ void add(const uint32_t (&query)[kHeadSize / 16][4], const unsigned char* keys,
                                      const unsigned char* values, int first_token, bool masked,
                                      const int32_t (&visible)[2], float scale) {
    constexpr int kRowBytes = kHeadSize * 2;
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    float scores[kTokens / 8][4] = {};
#pragma unroll
    for (int k = 0; k < kHeadSize / 16; k++) {
#pragma unroll
      for (int n = 0; n < kTokens / 16; n++) {
        uint32_t b[4];
        ldmatrix_x4(b, keys + swizzled(first_token + n * 16 + lane / 16 * 8 + lane % 8, 2 * k + lane / 8 % 2,
                                       kRowBytes));
        multiply<kType>(scores[2 * n], query[k], b[0], b[1]);
        multiply<kType>(scores[2 * n + 1], query[k], b[2], b[3]);
      }
    }
    if (masked) {
#pragma unroll
      for (int n = 0; n < kTokens / 8; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
          if (n * 8 + lane % 4 * 2 + i % 2 >= visible[i / 2]) scores[n][i] = kNoScore;
        }
      }
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float now_largest = largest[r];
#pragma unroll
      for (int n = 0; n < kTokens / 8; n++) {
        now_largest = fmaxf(now_largest, fmaxf(scores[n][2 * r], scores[n][2 * r + 1]));
      }
      now_largest = fmaxf(now_largest, __shfl_xor_sync(kAllLanes, now_largest, 1));
      now_largest = fmaxf(now_largest, __shfl_xor_sync(kAllLanes, now_largest, 2));
      // The difference is taken before it is scaled: that of the largest score is an exact zero, however
      // large the scores are.
      const float subtracted = now_largest == kNoScore ? 0.0f : now_largest;
      const float correction = exp2f((largest[r] - subtracted) * scale);
      largest[r] = now_largest;
      float sum = 0;
#pragma unroll
      for (int n = 0; n < kTokens / 8; n++) {
#pragma unroll
        for (int i = 2 * r; i < 2 * r + 2; i++) {
          scores[n][i] = exp2f((scores[n][i] - subtracted) * scale);
          sum += scores[n][i];
        }
      }
      sum_of_weights[r] = sum_of_weights[r] * correction + sum;
#pragma unroll
      for (int n = 0; n < kHeadSize / 8; n++) {
        sums[n][2 * r] *= correction;
        sums[n][2 * r + 1] *= correction;
      }
    }
#pragma unroll
    for (int k = 0; k < kTokens / 16; k++) {
      // The scores lie as the tensor cores want them on the other side.
      const uint32_t weights[4] = {pack_pair<kType>(scores[2 * k][0], scores[2 * k][1]),
                                   pack_pair<kType>(scores[2 * k][2], scores[2 * k][3]),
                                   pack_pair<kType>(scores[2 * k + 1][0], scores[2 * k + 1][1]),
                                   pack_pair<kType>(scores[2 * k + 1][2], scores[2 * k + 1][3])};
#pragma unroll
      for (int n = 0; n < kHeadSize / 16; n++) {
        uint32_t b[4];
        ldmatrix_x4_trans(b, values + swizzled(first_token + k * 16 + lane / 8 % 2 * 8 + lane % 8,
                                               2 * n + lane / 16, kRowBytes));
        multiply<kType>(sums[2 * n], weights, b[0], b[1]);
        multiply<kType>(sums[2 * n + 1], weights, b[2], b[3]);
      }
    }
  }

  // To be called once, at the end: each of the four lanes of a row gets the whole sum.
  __device__ __forceinline__ void sum_over_lanes() {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      sum_of_weights[r] += __shfl_xor_sync(kAllLanes, sum_of_weights[r], 1);
      sum_of_weights[r] += __shfl_xor_sync(kAllLanes, sum_of_weights[r], 2);
    }
  }
};

// Where a packed row comes from and goes to.
struct PackedRow {
  bool exists;
  int32_t row;       // of qkv and of the result
  int32_t head;      // query head
  int32_t position;  // in the sequence
};

template <bool kDecode>
__device__ __forceinline__ PackedRow packed_row(const AttentionParameters& p, const Unit& unit,
                                                int32_t offset) {
  const int32_t packed = unit.first_row + offset;
  if constexpr (kDecode) {
    const DecodeWork& work = decode_work(p.lists)[unit.index];
    return {packed < p.group, work.row, unit.kv_head * p.group + packed, work.first + work.count - 1};
  } else {
    const PrefillWork& work = prefill_work(p.lists)[unit.index];
    const int32_t query = packed / p.group;
    const bool exists = query < work.queries;
    const int32_t used = exists ? query : work.queries - 1;
    return {exists, work.row + used, unit.kv_head * p.group + packed % p.group, work.position + used};
  }
}

template <ElementType kType, ElementType kKv, int kHeadSize, bool kDecode>
__global__ void __launch_bounds__(kThreads, 2) tensor_kernel(const AttentionParameters p) {
  using Tile = Tiling<kKv, kHeadSize>;
  WEIR_DYNAMIC_SHARED(shared);
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  unsigned char* const operands = shared + Tile::kOperands;
  const auto synchronize = [] {
    if constexpr (kDecode) {
      __syncwarp();
    } else {
      __syncthreads();
    }
  };
  griddepcontrol_launch_dependents();
  griddepcontrol_wait();
  const auto* const header = static_cast<const AttentionPlanHeader*>(p.lists);
  const int32_t units = kDecode ? header->decode_work * p.layout.kv_heads * row_sets(p.group)
                                : header->prefill_work * p.layout.kv_heads;
  TileReader<kKv, kHeadSize, kDecode> reader(p, shared, units);
#pragma unroll
  for (int s = 0; s < Tile::kStages - 1; s++) reader.fetch();

  int stage = 0;
  for (int32_t number = static_cast<int32_t>(blockIdx.x); number < units;
       number += static_cast<int32_t>(gridDim.x)) {
    const Unit unit = unit_at<kDecode>(p, number);
    const int first_row = kDecode ? 0 : warp * kWarpRows;
    const PackedRow rows[2] = {packed_row<kDecode>(p, unit, first_row + lane / 4),
                               packed_row<kDecode>(p, unit, first_row + lane / 4 + 8)};
    uint32_t query[kHeadSize / 16][4];
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const auto* const from =
          static_cast<const Activation<kType>*>(p.qkv) +
          (int64_t{rows[r].row} * (p.heads + 2 * p.layout.kv_heads) + rows[r].head) * kHeadSize +
          lane % 4 * 2;
#pragma unroll
      for (int k = 0; k < kHeadSize / 16; k++) {
        query[k][r] = rows[r].exists ? *reinterpret_cast<const uint32_t*>(from + k * 16) : 0;
        query[k][r + 2] = rows[r].exists ? *reinterpret_cast<const uint32_t*>(from + k * 16 + 8) : 0;
      }
    }
    // No row of the warp sees less.
    const int32_t least_position = packed_row<kDecode>(p, unit, first_row).position;

    constexpr int kTokens = kDecode ? kWarpTokens : kTileTokens;
    const int first_token = kDecode ? warp * kWarpTokens : 0;
    RunningSoftmax<kType, kHeadSize, kTokens> running;
    for (int32_t first = 0; first < unit.tokens; first += kTileTokens) {
      unsigned char* const at = shared + stage * Tile::kStageBytes;
      cp_async_wait<Tile::kStages - 2>();
      // The tile is there, and what the next copies and operands overwrite has been read.
      synchronize();
      if constexpr (kIsScaled<kKv>) {
        dequantize<kType, kKv, kHeadSize>(at, operands);
        synchronize();
      }
      reader.fetch();
      const int32_t begin = unit.first + first + first_token;
      if (!kDecode || begin < unit.first + unit.tokens) {
        const unsigned char* const keys = kIsScaled<kKv> ? operands : at;
        const unsigned char* const values = keys + (kIsScaled<kKv> ? Tile::kOperandBytes : Tile::kTileBytes);
        const int32_t visible[2] = {rows[0].position + 1 - begin, rows[1].position + 1 - begin};
        running.add(query, keys, values, first_token, least_position + 1 < begin + kTokens, visible, p.scale);
      }
      stage = stage + 1 == Tile::kStages ? 0 : stage + 1;
    }
    running.sum_over_lanes();

    if constexpr (kDecode) {
      auto* const softmax = reinterpret_cast<float2*>(shared + Tile::kSoftmax);
      auto* const found = reinterpret_cast<float*>(shared + Tile::kSums);
      const int32_t existing = min(kWarpRows, p.group - unit.first_row);
      const int32_t room = min(kWarpRows, p.group);
#pragma unroll
      for (int r = 0; r < 2; r++) {
        const int row = lane / 4 + r * 8;
        if (row >= existing) continue;
        if (lane % 4 == 0) {
          softmax[warp * kWarpRows + row] =
              make_float2(running.largest[r] * p.scale, running.sum_of_weights[r]);
        }
        float* const to = found + (warp * room + row) * Tile::kSumsRow + lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < kHeadSize / 8; n++) {
          *reinterpret_cast<float2*>(to + n * 8) =
              make_float2(running.sums[n][2 * r], running.sums[n][2 * r + 1]);
        }
      }
      __syncthreads();
      const DecodeWork work = decode_work(p.lists)[unit.index];
      for (int32_t row = warp; row < existing; row += kWarps) {
        constexpr int kElements = kHeadSize / kLanes;
        float largest = kNoScore;
#pragma unroll
        for (int w = 0; w < kWarps; w++) largest = fmaxf(largest, softmax[w * kWarpRows + row].x);
        float sum_of_weights = 0;
        float sums[kElements] = {};
#pragma unroll
        for (int w = 0; w < kWarps; w++) {
          const float factor = weight_of(softmax[w * kWarpRows + row].x, largest);
          sum_of_weights += factor * softmax[w * kWarpRows + row].y;
          float part[kElements];
          load_floats(found + (w * room + row) * Tile::kSumsRow + lane * kElements, part);
#pragma unroll
          for (int i = 0; i < kElements; i++) sums[i] += factor * part[i];
        }
        finish_chunk<kType, kHeadSize>(p, work, unit.kv_head * p.group + unit.first_row + row, largest,
                                       sum_of_weights, sums);
      }
      __syncthreads();
    } else {
#pragma unroll
      for (int r = 0; r < 2; r++) {
        if (!rows[r].exists) continue;
        const float inverse = 1.0f / running.sum_of_weights[r];
        auto* const to = static_cast<Activation<kType>*>(p.out) +
                         (int64_t{rows[r].row} * p.heads + rows[r].head) * kHeadSize + lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < kHeadSize / 8; n++) {
          *reinterpret_cast<uint32_t*>(to + n * 8) =
              pack_pair<kType>(running.sums[n][2 * r] * inverse, running.sums[n][2 * r + 1] * inverse);
        }
      }
    }
  }
}

// Calls `use` with the kernel, the shared memory it takes for the shape, and the most it takes for any shape:
// the kernel's limit is one for all models of the process.
template <ElementType kType, ElementType kKv, int kHeadSize, typename Use>
void with_way(int32_t group, bool decode, const Use& use) {
  using Tile = Tiling<kKv, kHeadSize>;
  if (decode) {
    use(tensor_kernel<kType, kKv, kHeadSize, true>, Tile::decode_bytes(std::min(kWarpRows, group)),
        Tile::decode_bytes(kWarpRows));
  } else {
    use(tensor_kernel<kType, kKv, kHeadSize, false>, Tile::kPrefillBytes, Tile::kPrefillBytes);
  }
}

template <ElementType kType, ElementType kKv, typename Use>
void with_head_size(const QkvShape& shape, bool decode, const Use& use) {
  const int32_t group = shape.heads / shape.layout.kv_heads;
  if (shape.layout.head_size == 64) {
    with_way<kType, kKv, 64>(group, decode, use);
  } else {
    with_way<kType, kKv, 128>(group, decode, use);
  }
}

template <ElementType kType, typename Use>
void with_kv(const QkvShape& shape, bool decode, const Use& use) {
  switch (element_type_of(shape.layout.element.precision)) {
    case ElementType::kInt8:
      return with_head_size<kType, ElementType::kInt8>(shape, decode, use);
    case ElementType::kFp8:
      return with_head_size<kType, ElementType::kFp8>(shape, decode, use);
    default:
      return with_head_size<kType, kType>(shape, decode, use);
  }
}

template <typename Use>
void with_kernel(const QkvShape& shape, bool decode, const Use& use) {
  if (shape.type == ElementType::kBf16) {
    with_kv<ElementType::kBf16>(shape, decode, use);
  } else {
    with_kv<ElementType::kF16>(shape, decode, use);
  }
}

}  // namespace

void prepare_tensor(const QkvShape& shape, const AttentionLimits& limits, AttentionLaunch& launch) {
  with_kernel(shape, false, [](auto kernel, int, int most) { allow_shared_bytes(kernel, most); });
  if (shape.heads == shape.layout.kv_heads) return;
  with_kernel(shape, true, [&](auto kernel, int bytes, int most) {
    allow_shared_bytes(kernel, most);
    int resident = 0;
    check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, kThreads, bytes),
          "asking for the occupancy of attention");
    launch.decode_blocks = std::max(1, resident) * limits.multiprocessors;
  });
}

void grouped_decode_attention(cudaStream_t stream, const AttentionArguments& arguments) {
  const AttentionLaunch& how = arguments.launch;
  with_kernel(arguments.shape, true, [&](auto kernel, int bytes, int) {
    const LaunchShape shape{dim3(how.decode_blocks), dim3(kThreads), static_cast<size_t>(bytes), true};
    launch(kernel, shape, stream, attention_parameters(arguments));
  });
}

void prefill_attention(cudaStream_t stream, const AttentionArguments& arguments) {
  const AttentionPlan& plan = arguments.plan;
  with_kernel(arguments.shape, false, [&](auto kernel, int bytes, int) {
    const LaunchShape shape{dim3(plan.prefill_work * arguments.shape.layout.kv_heads), dim3(kThreads),
                            static_cast<size_t>(bytes), true};
    launch(kernel, shape, stream, attention_parameters(arguments));
  });
}

}  // namespace weir::cuda
