#include "backend/cpu/avx512/operators.h"
#include "backend/cpu/avx512/vector.h"
#include "backend/cpu/operators.h"

#if defined(WEIR_HAS_AVX512)

#include <algorithm>
#include <cmath>
#include <limits>

namespace weir::cpu::avx512 {
namespace {

// A context is cut into chunks of whole blocks, of about this many positions. A chunk is taken in three
// passes over its scores (all scores, softmax, values), and the chunks of a row are merged one after another,
// so that the numbers of a row depend on its position alone: not on the rows computed with it, nor on who
// computes which chunk.
constexpr int32_t kChunk = 256;
// Rows (tokens times query heads of a KV head) that share a pass over the keys and values of a KV head.
// Scores, interleaved values and outputs of so many fit the second-level cache.
constexpr int32_t kTileRows = 64;
// With fewer rows, interleaving the values into memory costs more than doing it again for every kernel call.
constexpr int32_t kPackedRows = 9;
// Of a call of score_rows(): rows, and groups of keys.
constexpr int32_t kScoreRows = 8;
constexpr int32_t kScoreGroups = 4;
constexpr int32_t kValueRows = 8;  // of a call of a value kernel
// Tiles of keys or values that are on their way from memory while one is in use.
constexpr int32_t kTilesAhead = 6;
// The work of one KV head is cut by chunks if it is more than a quarter of what a thread has to do; heads are
// handed out together as long as that makes sixteen pieces for every thread.
constexpr int32_t kSplitPerThread = 4;
constexpr int32_t kPiecesPerThread = 16;
constexpr int64_t kAlignment = 64;
// Of a chunk. Most there are with blocks of one slot.
constexpr int32_t kMaxGroups = kChunk;
static_assert(WEIR_MAX_BLOCK_SIZE / kLanes <= kMaxGroups);

int64_t round_up(int64_t x, int64_t multiple) { return (x + multiple - 1) / multiple * multiple; }
int32_t ceil_divide(int32_t x, int32_t by) { return (x + by - 1) / by; }

// What all pieces of a call share.
struct Shape {
  Shape(const StepBatch& batch, int32_t layer_, int32_t heads_, const KvLayout& layout_)
      : layout(layout_),
        layer(layer_),
        heads(heads_),
        size(layout_.head_size),
        group(heads_ / layout_.kv_heads),
        chunk_blocks(std::max(1, kChunk / layout_.block_size)),
        chunk(chunk_blocks * layout_.block_size),
        tile_tokens(std::max(1, kTileRows / group)),
        tile_rows(std::min(tile_tokens, batch.tokens) * group),
        chunks(ceil_divide(batch.longest_context, chunk)),
        padded_size(round_up(size, 2 * kLanes)),
        score_stride(round_up(chunk, 2 * kLanes) + kLanes),
        columns((int64_t{heads_} + 2 * layout_.kv_heads) * size) {}

  const KvLayout& layout;
  int32_t layer;
  int32_t heads;
  int32_t size;
  int32_t group;
  int32_t chunk_blocks;
  int32_t chunk;
  int32_t tile_tokens;
  int32_t tile_rows;
  int32_t chunks;  // of the longest context
  int64_t padded_size;
  int64_t score_stride;  // not a power of two, so that the rows do not compete for the same lines of a cache
  int64_t columns;
};

// Cuts scratch memory into arrays; without memory, only counts.
class Arena {
 public:
  explicit Arena(std::byte* memory) : memory_(memory) {}
  template <typename T>
  T* take(int64_t count) {
    const int64_t at = bytes_;
    bytes_ += round_up(count * static_cast<int64_t>(sizeof(T)), kAlignment);
    return memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + at);
  }
  int64_t bytes() const { return bytes_; }

 private:
  std::byte* memory_;
  int64_t bytes_ = 0;
};

// What the rows of a tile make of some of their positions: the largest score, the sum of the weights relative
// to it, and the sum of the values with these weights.
struct Partial {
  Partial(Arena& arena, const Shape& shape)
      : largest(arena.take<float>(shape.tile_rows)),
        sum(arena.take<float>(shape.tile_rows)),
        output(arena.take<float>(shape.tile_rows * shape.padded_size)) {}

  float* largest;  // [tile_rows]
  float* sum;      // [tile_rows]
  float* output;   // [tile_rows][padded_size]
};

// Scratch of a thread.
struct Workspace {
  Workspace(Arena& arena, const Shape& shape)
      : visible(arena.take<int32_t>(shape.tile_rows)),
        queries(arena.take<Bfloat16>(int64_t{shape.tile_rows} * shape.size)),
        scores(arena.take<float>(shape.tile_rows * shape.score_stride)),
        packed(arena.take<Bfloat16>((shape.chunk + 1) / 2 * 2 * shape.padded_size)),
        partial(arena, shape),
        merged(arena, shape) {}

  int32_t* visible;   // [tile_rows] positions that the row may look at
  Bfloat16* queries;  // [tile_rows][size]
  float* scores;  // [tile_rows][score_stride]; then the weights, in bfloat16, from the start of each row on
  Bfloat16* packed;  // [chunk / 2][padded_size][2] values of two positions, interleaved
  Partial partial;   // of one chunk
  Partial merged;    // of the chunks so far
};

// Query tokens of an entry, which share their passes over keys and values.
struct Tile {
  int32_t entry;
  int32_t first;  // token
  int32_t tokens;
};

constexpr int32_t kAllChunks = -1;

// What a thread takes at a time: KV heads of a tile, over the whole context or (then it is one KV head) over
// a chunk.
struct Piece {
  int64_t cost;
  Tile tile;
  int32_t kv_head;
  int32_t kv_heads;
  int32_t chunk;
  int32_t split;  // index of the SplitTile
};

// A KV head of a tile whose chunks are computed as pieces of their own and then merged.
struct SplitTile {
  Tile tile;
  int32_t kv_head;
};

// All of the scratch memory of a call.
class Scratch {
 public:
  Scratch(std::byte* memory, const StepBatch& batch, const Shape& shape, int threads)
      : memory_(memory),
        chunks_(shape.chunks),
        workspace_bytes_(bytes_of<Workspace>(shape)),
        partial_bytes_(bytes_of<Partial>(shape)) {
    const int64_t tiles = std::min(batch.tokens, batch.entries + batch.tokens / shape.tile_tokens);
    const int64_t max_splits = threads > 1 && shape.chunks > 1 ? int64_t{kSplitPerThread} * threads : 0;
    Arena arena(memory);
    pieces = arena.take<Piece>(tiles * shape.layout.kv_heads + max_splits * shape.chunks);
    splits = arena.take<SplitTile>(max_splits);
    workspaces_ = arena.bytes();
    partials_ = workspaces_ + threads * workspace_bytes_;
    bytes = partials_ + max_splits * shape.chunks * partial_bytes_;
  }

  Workspace workspace(const Shape& shape, int thread) const {
    Arena arena(memory_ + workspaces_ + thread * workspace_bytes_);
    return Workspace(arena, shape);
  }
  Partial partial(const Shape& shape, int64_t split, int32_t chunk) const {
    Arena arena(memory_ + partials_ + (split * chunks_ + chunk) * partial_bytes_);
    return Partial(arena, shape);
  }

  Piece* pieces;
  SplitTile* splits;
  int64_t bytes;

 private:
  template <typename T>
  static int64_t bytes_of(const Shape& shape) {
    Arena arena(nullptr);
    T(arena, shape);
    return arena.bytes();
  }

  std::byte* memory_;
  int32_t chunks_;
  int64_t workspace_bytes_;
  int64_t partial_bytes_;
  int64_t workspaces_;
  int64_t partials_;
};

// Walks through the tiles of keys and values of a piece in the order of their use.
class TileWalk {
 public:
  // Blocks [first_block, end_block) for each of the KV heads.
  TileWalk(const Shape& shape, const Bfloat16* pool, const int32_t* table, int32_t kv_head, int32_t end_head,
           int32_t first_block, int32_t end_block)
      : shape_(shape),
        pool_(pool),
        table_(table),
        head_(kv_head),
        end_head_(end_head),
        first_block_(first_block),
        end_block_(end_block) {
    start_chunk(first_block);
    // Other tiles do not fill whole lines of the cache.
    if (shape.layout.block_size % kLanes != 0) head_ = end_head_;
  }

  // The next tile; nullptr after the last.
  const Bfloat16* next() {
    if (head_ == end_head_) return nullptr;
    const KvLayout& layout = shape_.layout;
    const int32_t block = table_[block_];
    const Bfloat16* tile = pool_ + (values_ ? layout.value_tile(block, shape_.layer, head_)
                                            : layout.key_tile(block, shape_.layer, head_));
    if (++block_ == chunk_end_) {
      if (!values_) {
        values_ = true;
        block_ = chunk_begin_;
      } else if (chunk_end_ < end_block_) {
        start_chunk(chunk_end_);
      } else {
        head_++;
        start_chunk(first_block_);
      }
    }
    return tile;
  }
  void skip(int32_t tiles) {
    for (int32_t i = 0; i < tiles; i++) next();
  }

 private:
  void start_chunk(int32_t block) {
    values_ = false;
    block_ = chunk_begin_ = block;
    chunk_end_ = std::min(block + shape_.chunk_blocks, end_block_);
  }

  const Shape& shape_;
  const Bfloat16* pool_;
  const int32_t* table_;
  int32_t head_;
  int32_t end_head_;
  int32_t first_block_;
  int32_t end_block_;
  int32_t chunk_begin_;
  int32_t chunk_end_;
  int32_t block_;
  bool values_;
};

WEIR_AVX512_INLINE void prefetch(const Bfloat16* line) {
  _mm_prefetch(reinterpret_cast<const char*>(line), _MM_HINT_T0);
}

WEIR_AVX512_INLINE __m512i broadcast_pair(const Bfloat16* pair) {
  int32_t bits;
  std::memcpy(&bits, pair, sizeof bits);
  return _mm512_set1_epi32(bits);
}

WEIR_AVX512_INLINE __m512 add_products(__m512 sum, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(sum, as_bfloat16(a), as_bfloat16(b));
}

// 2^x for x <= 0 to about 2e-7, exactly 1 for 0; 0 for -infinity. The polynomial is the minimax one of 2^x on
// [0, 1] among those that are 1 and 2 at its ends.
WEIR_AVX512_INLINE __m512 exp2(__m512 x) {
  const __m512 fraction = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  __m512 p = _mm512_set1_ps(1.87931858e-3f);
  p = _mm512_fmadd_ps(p, fraction, _mm512_set1_ps(8.99099524e-3f));
  p = _mm512_fmadd_ps(p, fraction, _mm512_set1_ps(5.58186759e-2f));
  p = _mm512_fmadd_ps(p, fraction, _mm512_set1_ps(2.40159271e-1f));
  p = _mm512_fmadd_ps(p, fraction, _mm512_set1_ps(6.93151739e-1f));
  p = _mm512_fmadd_ps(p, fraction, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, x);  // times 2^floor(x)
}

// Keys of up to 16 neighbouring slots of a block.
struct KeyGroup {
  const Bfloat16* keys;   // first pair of elements of the first of them
  const Bfloat16* ahead;  // to prefetch while these are in use, as much as they are
  int32_t position;       // in the chunk
  __mmask16 slots;
};

// Products of `Rows` queries with the keys of `Groups` groups.
template <int Rows, int Groups, bool Ahead>
WEIR_AVX512_INLINE void score_groups(const Bfloat16* queries, int32_t size, const KeyGroup* groups,
                                     int64_t pair_stride, float* scores, int64_t score_stride) {
  __m512 sums[Rows][Groups];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; r++) {
#pragma GCC unroll 4
    for (int g = 0; g < Groups; g++) sums[r][g] = _mm512_setzero_ps();
  }
  for (int32_t pair = 0; pair < size / 2; pair++) {
    __m512i keys[Groups];
#pragma GCC unroll 4
    for (int g = 0; g < Groups; g++) {
      keys[g] = _mm512_maskz_loadu_epi32(groups[g].slots, groups[g].keys + pair * pair_stride);
      if (Ahead) prefetch(groups[g].ahead + int64_t{pair} * 2 * kLanes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < Rows; r++) {
      const __m512i query = broadcast_pair(queries + int64_t{r} * size + 2 * pair);
#pragma GCC unroll 4
      for (int g = 0; g < Groups; g++) sums[r][g] = add_products(sums[r][g], keys[g], query);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; r++) {
#pragma GCC unroll 4
    for (int g = 0; g < Groups; g++) {
      store(scores + r * score_stride + groups[g].position, groups[g].slots, sums[r][g]);
    }
  }
}

// The same with kScoreGroups groups, in as many steps as there are registers for.
template <int Rows, bool Ahead>
WEIR_AVX512 void score_rows(const Bfloat16* queries, int32_t size, const KeyGroup* groups,
                            int64_t pair_stride, float* scores, int64_t score_stride) {
  constexpr int kGroups = Rows <= 4 ? kScoreGroups : kScoreGroups / 2;
  for (int g = 0; g < kScoreGroups; g += kGroups) {
    score_groups<Rows, kGroups, Ahead>(queries, size, groups + g, pair_stride, scores, score_stride);
  }
}

using ScoreKernel = void (*)(const Bfloat16*, int32_t, const KeyGroup*, int64_t, float*, int64_t);
constexpr ScoreKernel kScoreKernels[kScoreRows][2] = {
    {score_rows<1, false>, score_rows<1, true>}, {score_rows<2, false>, score_rows<2, true>},
    {score_rows<3, false>, score_rows<3, true>}, {score_rows<4, false>, score_rows<4, true>},
    {score_rows<5, false>, score_rows<5, true>}, {score_rows<6, false>, score_rows<6, true>},
    {score_rows<7, false>, score_rows<7, true>}, {score_rows<8, false>, score_rows<8, true>},
};

// Weights 2^((score - base) * scale) of 32 scores, in bfloat16; zeros beyond the lanes `low` and `high`.
WEIR_AVX512_INLINE __m512i weigh(const float* scores, __mmask16 low, __mmask16 high, __m512 base,
                                 __m512 scale) {
  const __m512 low_scores = _mm512_sub_ps(_mm512_maskz_loadu_ps(low, scores), base);
  const __m512 high_scores = _mm512_sub_ps(_mm512_maskz_loadu_ps(high, scores + kLanes), base);
  return round_to_bfloat16(_mm512_maskz_mov_ps(low, exp2(_mm512_mul_ps(low_scores, scale))),
                           _mm512_maskz_mov_ps(high, exp2(_mm512_mul_ps(high_scores, scale))));
}

// Replaces the first `visible` scores of a row by weights exp((score - largest) / sqrt(size)) in bfloat16,
// followed by zeros up to `count`. The sum is that of the rounded weights, so that they add up to one.
WEIR_AVX512 void softmax_row(float* scores, int32_t visible, int32_t count, int32_t size, float* largest,
                             float* sum) {
  constexpr __mmask16 kAll = 0xFFFF;
  constexpr int32_t kStep = 2 * kLanes;
  const int32_t whole = visible / kStep * kStep;
  const __mmask16 low = first_lanes(visible - whole);
  const __mmask16 high = first_lanes(std::max(0, visible - whole - kLanes));
  // Finite, so that scores of minus infinity have a difference from it. A NaN is passed over here, and comes
  // back as a weight.
  const __m512 lowest = _mm512_set1_ps(-std::numeric_limits<float>::max());
  __m512 maxima = _mm512_max_ps(_mm512_mask_loadu_ps(lowest, low, scores + whole), lowest);
  __m512 high_maxima = _mm512_max_ps(_mm512_mask_loadu_ps(lowest, high, scores + whole + kLanes), lowest);
  for (int32_t p = 0; p < whole; p += kStep) {
    maxima = _mm512_max_ps(_mm512_loadu_ps(scores + p), maxima);
    high_maxima = _mm512_max_ps(_mm512_loadu_ps(scores + p + kLanes), high_maxima);
  }
  *largest = _mm512_reduce_max_ps(_mm512_max_ps(maxima, high_maxima));
  const __m512 base = _mm512_set1_ps(*largest);
  const __m512 scale = _mm512_set1_ps(1.44269504088896341f / std::sqrt(static_cast<float>(size)));
  const __m512i ones = _mm512_set1_epi16(0x3F80);
  __m512 sums = _mm512_setzero_ps();
  char* weights = reinterpret_cast<char*>(scores);
  for (int32_t p = 0; p < whole; p += kStep) {
    const __m512i rounded = weigh(scores + p, kAll, kAll, base, scale);
    sums = add_products(sums, rounded, ones);
    _mm512_storeu_si512(weights + int64_t{p} * 2, rounded);
  }
  if (whole < visible) {
    const __m512i rounded = weigh(scores + whole, low, high, base, scale);
    sums = add_products(sums, rounded, ones);
    _mm512_storeu_si512(weights + int64_t{whole} * 2, rounded);
  }
  for (int32_t p = static_cast<int32_t>(round_up(visible, kStep)); p < count; p += kStep) {
    _mm512_storeu_si512(weights + int64_t{p} * 2, _mm512_setzero_si512());
  }
  *sum = _mm512_reduce_add_ps(sums);
}

// Values of a block.
struct ValueTile {
  const Bfloat16* values;
  const Bfloat16* ahead;  // to prefetch meanwhile
};

// Two rows of 32 values, interleaved: first the columns 0-3, 8-11, 16-19 and 24-27, then the others.
WEIR_AVX512_INLINE void interleave(__m512i a, __m512i b, __m512i pairs[2]) {
  pairs[0] = _mm512_unpacklo_epi16(a, b);
  pairs[1] = _mm512_unpackhi_epi16(a, b);
}

// Columns of an output in the order of interleave() put in their own order.
WEIR_AVX512_INLINE void store_interleaved(__m512 first, __m512 second, float* to) {
  const __m512i low = _mm512_set_epi32(23, 22, 21, 20, 7, 6, 5, 4, 19, 18, 17, 16, 3, 2, 1, 0);
  const __m512i high = _mm512_set_epi32(31, 30, 29, 28, 15, 14, 13, 12, 27, 26, 25, 24, 11, 10, 9, 8);
  _mm512_storeu_ps(to, _mm512_permutex2var_ps(first, low, second));
  _mm512_storeu_ps(to + kLanes, _mm512_permutex2var_ps(first, high, second));
}

template <int Rows, int Units>
struct Sums {
  __m512 of[Rows][2 * Units];
};

template <int Rows, int Units>
WEIR_AVX512_INLINE void clear(Sums<Rows, Units>& sums) {
#pragma GCC unroll 8
  for (int r = 0; r < Rows; r++) {
#pragma GCC unroll 8
    for (int u = 0; u < 2 * Units; u++) sums.of[r][u] = _mm512_setzero_ps();
  }
}

// Adds the values of two positions with the weights of each row.
template <int Rows, int Units>
WEIR_AVX512_INLINE void add_pair(Sums<Rows, Units>& sums, const __m512i (&pairs)[2 * Units],
                                 const Bfloat16* weights, int64_t weight_stride) {
#pragma GCC unroll 8
  for (int r = 0; r < Rows; r++) {
    const __m512i weight = broadcast_pair(weights + r * weight_stride);
#pragma GCC unroll 8
    for (int u = 0; u < 2 * Units; u++) sums.of[r][u] = add_products(sums.of[r][u], pairs[u], weight);
  }
}

template <int Rows, int Units>
WEIR_AVX512_INLINE void store_sums(const Sums<Rows, Units>& sums, float* output, int64_t output_stride) {
#pragma GCC unroll 8
  for (int r = 0; r < Rows; r++) {
#pragma GCC unroll 4
    for (int u = 0; u < Units; u++) {
      store_interleaved(sums.of[r][2 * u], sums.of[r][2 * u + 1],
                        output + r * output_stride + u * 2 * kLanes);
    }
  }
}

// What the value kernels take. They compute `Units` * 32 columns of the output of `Rows` rows.
struct ValueWork {
  const Bfloat16* weights;  // [Rows][weight_stride]
  int64_t weight_stride;
  int32_t count;  // positions
  // Elements from a position to the next; of packed values, from a pair of positions to the next.
  int64_t size;
  __mmask32 last;  // columns of the last 32 that there are
  float* output;   // [Rows][output_stride]
  int64_t output_stride;
};

// Values of one position and the next; without a next one, zeros.
template <int Units, bool Next>
WEIR_AVX512_INLINE void load_rows(const ValueWork& work, const Bfloat16* values,
                                  __m512i (&pairs)[2 * Units]) {
#pragma GCC unroll 4
  for (int u = 0; u < Units; u++) {
    const __mmask32 columns = u == Units - 1 ? work.last : 0xFFFFFFFFu;
    const __m512i a = _mm512_maskz_loadu_epi16(columns, values + u * 2 * kLanes);
    const __m512i b =
        _mm512_maskz_loadu_epi16(Next ? columns : 0, values + (Next ? work.size : 0) + u * 2 * kLanes);
    interleave(a, b, pairs + 2 * u);
  }
}

// Values as they lie in the pool, the block size being even.
template <int Rows, int Units, bool Ahead>
WEIR_AVX512 void add_values(const ValueWork& work, const ValueTile* tiles, int32_t block_size,
                            int32_t column) {
  Sums<Rows, Units> sums;
  clear(sums);
  const Bfloat16* weights = work.weights;
  for (int32_t start = 0; start < work.count; start += block_size, tiles++) {
    const Bfloat16* values = tiles->values + column;
    const Bfloat16* ahead = tiles->ahead + column;
    const int32_t count = std::min(block_size, work.count - start);
    for (int32_t p = 0; p + 1 < count; p += 2) {
      __m512i pairs[2 * Units];
      load_rows<Units, true>(work, values, pairs);
      if (Ahead) {
#pragma GCC unroll 4
        for (int u = 0; u < Units; u++) {
          prefetch(ahead + u * 2 * kLanes);
          prefetch(ahead + u * 2 * kLanes + work.size);
        }
      }
      add_pair<Rows, Units>(sums, pairs, weights, work.weight_stride);
      values += 2 * work.size;
      ahead += 2 * work.size;
      weights += 2;
    }
    if (count % 2 != 0) {
      __m512i pairs[2 * Units];
      load_rows<Units, false>(work, values, pairs);
      add_pair<Rows, Units>(sums, pairs, weights, work.weight_stride);
    }
  }
  store_sums(sums, work.output, work.output_stride);
}

// Values that pack_values() has prepared.
template <int Rows, int Units>
WEIR_AVX512 void add_packed_values(const ValueWork& work, const Bfloat16* packed) {
  Sums<Rows, Units> sums;
  clear(sums);
  const Bfloat16* weights = work.weights;
  for (int32_t p = 0; p < work.count; p += 2) {
    __m512i pairs[2 * Units];
#pragma GCC unroll 8
    for (int u = 0; u < 2 * Units; u++) pairs[u] = _mm512_loadu_si512(packed + u * 2 * kLanes);
    add_pair<Rows, Units>(sums, pairs, weights, work.weight_stride);
    packed += work.size;
    weights += 2;
  }
  store_sums(sums, work.output, work.output_stride);
}

// As many columns as there are registers for.
constexpr int32_t max_units(int32_t rows) { return rows <= 2 ? 4 : rows <= 4 ? 2 : 1; }

using ValueKernel = void (*)(const ValueWork&, const ValueTile*, int32_t, int32_t);
template <bool Ahead>
constexpr ValueKernel kValueKernels[kValueRows][4] = {
    {add_values<1, 1, Ahead>, add_values<1, 2, Ahead>, add_values<1, 3, Ahead>, add_values<1, 4, Ahead>},
    {add_values<2, 1, Ahead>, add_values<2, 2, Ahead>, add_values<2, 3, Ahead>, add_values<2, 4, Ahead>},
    {add_values<3, 1, Ahead>, add_values<3, 2, Ahead>},
    {add_values<4, 1, Ahead>, add_values<4, 2, Ahead>},
    {add_values<5, 1, Ahead>},
    {add_values<6, 1, Ahead>},
    {add_values<7, 1, Ahead>},
    {add_values<8, 1, Ahead>},
};
using PackedKernel = void (*)(const ValueWork&, const Bfloat16*);
constexpr PackedKernel kPackedKernels[kValueRows][4] = {
    {add_packed_values<1, 1>, add_packed_values<1, 2>, add_packed_values<1, 3>, add_packed_values<1, 4>},
    {add_packed_values<2, 1>, add_packed_values<2, 2>, add_packed_values<2, 3>, add_packed_values<2, 4>},
    {add_packed_values<3, 1>, add_packed_values<3, 2>},
    {add_packed_values<4, 1>, add_packed_values<4, 2>},
    {add_packed_values<5, 1>},
    {add_packed_values<6, 1>},
    {add_packed_values<7, 1>},
    {add_packed_values<8, 1>},
};

// Interleaves the values of positions 2 i and 2 i + 1 of a chunk.
WEIR_AVX512 void pack_values(const Shape& shape, const ValueTile* tiles, int32_t count, Bfloat16* packed) {
  const int32_t size = shape.size;
  const int64_t tile_elements = shape.layout.tile_elements();
  int64_t offset = 0;  // in the tile
  const auto advance = [&] {
    if ((offset += size) == tile_elements) {
      offset = 0;
      tiles++;
    }
  };
  for (int32_t p = 0; p < count; p += 2) {
    const Bfloat16* first = tiles->values + offset;
    const Bfloat16* ahead = tiles->ahead + offset;
    advance();
    const Bfloat16* second = p + 1 < count ? tiles->values + offset : nullptr;
    for (int32_t i = 0; i < size; i += 2 * kLanes) {
      const __mmask32 columns = first_lanes_of_32(size - i);
      const __m512i a = _mm512_maskz_loadu_epi16(columns, first + i);
      const __m512i b =
          second == nullptr ? _mm512_setzero_si512() : _mm512_maskz_loadu_epi16(columns, second + i);
      prefetch(ahead + i);
      prefetch(ahead + i + size);
      __m512i pairs[2];
      interleave(a, b, pairs);
      _mm512_storeu_si512(packed + 2 * i, pairs[0]);
      _mm512_storeu_si512(packed + 2 * i + 2 * kLanes, pairs[1]);
    }
    packed += 2 * shape.padded_size;
    if (second != nullptr) advance();
  }
}

// Weighs the values of a chunk's first `count` positions.
WEIR_AVX512 void weigh_values(const Shape& shape, const Workspace& workspace, const ValueTile* tiles,
                              int32_t rows, int32_t start, int32_t count, float* output) {
  const bool packed = rows >= kPackedRows || shape.layout.block_size % 2 != 0;
  if (packed) pack_values(shape, tiles, count, workspace.packed);
  for (int32_t row = 0; row < rows; row += kValueRows) {
    const int32_t some = std::min(kValueRows, rows - row);
    const int32_t visible = std::min(count, workspace.visible[row + some - 1] - start);
    if (visible <= 0) continue;
    for (int32_t column = 0; column < shape.size;) {
      const int32_t units = std::min(ceil_divide(shape.size - column, 2 * kLanes), max_units(some));
      const int64_t rest = shape.size - column - int64_t{units - 1} * 2 * kLanes;
      ValueWork work;
      work.weights = reinterpret_cast<const Bfloat16*>(workspace.scores + row * shape.score_stride);
      work.weight_stride = 2 * shape.score_stride;
      work.count = visible;
      work.size = packed ? 2 * shape.padded_size : shape.size;
      work.last = first_lanes_of_32(rest);
      work.output = output + row * shape.padded_size + column;
      work.output_stride = shape.padded_size;
      if (packed) {
        kPackedKernels[some - 1][units - 1](work, workspace.packed + 2 * column);
      } else {
        const auto kernel = row == 0 ? kValueKernels<true>[some - 1] : kValueKernels<false>[some - 1];
        kernel[units - 1](work, tiles, shape.layout.block_size, column);
      }
      column += units * 2 * kLanes;
    }
  }
}

// The rows that are in the workspace, one chunk.
WEIR_AVX512 void attend_chunk(const Shape& shape, const Workspace& workspace, const Bfloat16* pool,
                              const int32_t* table, int32_t kv_head, int32_t rows, int32_t chunk,
                              TileWalk& ahead, const Partial& partial) {
  const KvLayout& layout = shape.layout;
  const int32_t block_size = layout.block_size;
  const int32_t start = chunk * shape.chunk;
  const int32_t count = std::min(shape.chunk, workspace.visible[rows - 1] - start);
  const int32_t blocks = ceil_divide(count, block_size);
  const int32_t* ids = table + chunk * shape.chunk_blocks;

  KeyGroup groups[kMaxGroups + kScoreGroups];
  ValueTile values[kMaxGroups];
  int32_t group_count = 0;
  for (int32_t b = 0; b < blocks; b++) {
    const Bfloat16* keys = pool + layout.key_tile(ids[b], shape.layer, kv_head);
    const Bfloat16* next = ahead.next();
    const int32_t in_block = std::min(block_size, count - b * block_size);
    for (int32_t slot = 0; slot < in_block; slot += kLanes) {
      KeyGroup& group = groups[group_count++];
      group.keys = keys + key_offset(block_size, slot, 0);
      group.ahead = (next == nullptr ? keys : next) + int64_t{slot} * shape.size;
      group.position = b * block_size + slot;
      group.slots = first_lanes(in_block - slot);
    }
  }
  for (int32_t b = 0; b < blocks; b++) {
    values[b].values = pool + layout.value_tile(ids[b], shape.layer, kv_head);
    const Bfloat16* next = ahead.next();
    values[b].ahead = next == nullptr ? values[b].values : next;
  }
  for (int32_t i = 0; i < kScoreGroups - 1; i++) {
    groups[group_count + i] = groups[group_count - 1];
    groups[group_count + i].slots = 0;
  }

  for (int32_t g = 0; g < group_count; g += kScoreGroups) {
    for (int32_t row = 0; row < rows; row += kScoreRows) {
      const int32_t some = std::min(kScoreRows, rows - row);
      if (workspace.visible[row + some - 1] - start <= groups[g].position) continue;
      kScoreKernels[some - 1][row == 0](workspace.queries + int64_t{row} * shape.size, shape.size, groups + g,
                                        int64_t{block_size} * 2, workspace.scores + row * shape.score_stride,
                                        shape.score_stride);
    }
  }
  for (int32_t row = 0; row < rows; row++) {
    const int32_t visible = std::clamp(workspace.visible[row] - start, 0, count);
    softmax_row(workspace.scores + row * shape.score_stride, visible, count, shape.size,
                partial.largest + row, partial.sum + row);
  }
  weigh_values(shape, workspace, values, rows, start, count, partial.output);
}

// Rounds the queries of a tile for one KV head into the workspace.
WEIR_AVX512 void load_queries(const Shape& shape, const float* qkv, const Tile& tile, int32_t kv_head,
                              const Workspace& workspace) {
  const int64_t elements = int64_t{shape.group} * shape.size;
  for (int32_t t = 0; t < tile.tokens; t++) {
    const float* from = qkv + (tile.first + t) * shape.columns + kv_head * elements;
    Bfloat16* to = workspace.queries + t * elements;
    for (int64_t i = 0; i < elements; i += kLanes) {
      const __mmask16 lanes = first_lanes(elements - i);
      store(to + i, lanes, _mm512_maskz_loadu_ps(lanes, from + i));
    }
  }
}

// Tells the rows of a tile what they may look at; returns their number.
int32_t start_rows(const Shape& shape, const StepBatch& batch, const Tile& tile, const Workspace& workspace) {
  for (int32_t t = 0; t < tile.tokens; t++) {
    std::fill_n(workspace.visible + t * shape.group, shape.group, batch.positions[tile.first + t] + 1);
  }
  return tile.tokens * shape.group;
}

void clear_merged(const Shape& shape, int32_t rows, const Partial& merged) {
  std::fill_n(merged.largest, rows, -std::numeric_limits<float>::max());
  std::fill_n(merged.sum, rows, 0.0f);
  std::fill_n(merged.output, rows * shape.padded_size, 0.0f);
}

// Adds a chunk to what the rows have of the chunks before.
WEIR_AVX512 void merge(const Shape& shape, const int32_t* visible, int32_t rows, int32_t chunk,
                       const Partial& partial, const Partial& merged) {
  const float scale = 1.44269504088896341f / std::sqrt(static_cast<float>(shape.size));
  for (int32_t row = 0; row < rows; row++) {
    if (visible[row] <= chunk * shape.chunk) continue;
    const float largest = std::max(merged.largest[row], partial.largest[row]);
    const __m512 old_scale = exp2(_mm512_set1_ps((merged.largest[row] - largest) * scale));
    const __m512 new_scale = exp2(_mm512_set1_ps((partial.largest[row] - largest) * scale));
    merged.largest[row] = largest;
    merged.sum[row] =
        _mm512_cvtss_f32(_mm512_fmadd_ps(_mm512_set1_ps(partial.sum[row]), new_scale,
                                         _mm512_mul_ps(_mm512_set1_ps(merged.sum[row]), old_scale)));
    const float* from = partial.output + row * shape.padded_size;
    float* to = merged.output + row * shape.padded_size;
    for (int64_t i = 0; i < shape.padded_size; i += kLanes) {
      const __m512 scaled = _mm512_mul_ps(_mm512_loadu_ps(to + i), old_scale);
      _mm512_storeu_ps(to + i, _mm512_fmadd_ps(_mm512_loadu_ps(from + i), new_scale, scaled));
    }
  }
}

template <typename Out>
WEIR_AVX512 void write_output(const Shape& shape, const Tile& tile, int32_t kv_head, const Partial& merged,
                              Out* out) {
  for (int32_t row = 0; row < tile.tokens * shape.group; row++) {
    const int32_t head = kv_head * shape.group + row % shape.group;
    const int64_t token = tile.first + row / shape.group;
    Out* to = out + (token * shape.heads + head) * shape.size;
    const float* from = merged.output + row * shape.padded_size;
    const __m512 scale = _mm512_set1_ps(1.0f / merged.sum[row]);
    for (int32_t i = 0; i < shape.size; i += kLanes) {
      store(to + i, first_lanes(shape.size - i), _mm512_mul_ps(_mm512_loadu_ps(from + i), scale));
    }
  }
}

int32_t positions_of(const StepBatch& batch, const Tile& tile) {
  return batch.positions[tile.first + tile.tokens - 1] + 1;
}

// Calls visit(tile, cost) for every tile of the batch. Costs are for one KV head.
template <typename Visit>
void for_each_tile(const StepBatch& batch, const Shape& shape, const Visit& visit) {
  for (int32_t entry = 0; entry < batch.entries; entry++) {
    const int32_t end = batch.query_starts[entry + 1];
    for (int32_t first = batch.query_starts[entry]; first < end; first += shape.tile_tokens) {
      const Tile tile{entry, first, std::min(shape.tile_tokens, end - first)};
      // Bringing a position from memory costs about as much as eight rows make of it.
      visit(tile, int64_t{positions_of(batch, tile)} * (tile.tokens * shape.group + 8));
    }
  }
}

struct Plan {
  int64_t pieces = 0;
  int64_t splits = 0;
};

// Cuts the work into pieces, the longest first.
Plan plan(const StepBatch& batch, const Shape& shape, int threads, const Scratch& scratch) {
  const int32_t kv_heads = shape.layout.kv_heads;
  int64_t total = 0;
  for_each_tile(batch, shape, [&](const Tile&, int64_t cost) { total += cost * kv_heads; });
  Plan plan;
  for_each_tile(batch, shape, [&](const Tile& tile, int64_t cost) {
    const int32_t chunks = ceil_divide(positions_of(batch, tile), shape.chunk);
    if (threads > 1 && chunks > 1 && cost * kSplitPerThread * threads > total) {
      for (int32_t head = 0; head < kv_heads; head++) {
        const int32_t split = static_cast<int32_t>(plan.splits++);
        scratch.splits[split] = {tile, head};
        for (int32_t chunk = 0; chunk < chunks; chunk++) {
          scratch.pieces[plan.pieces++] = {cost / chunks, tile, head, 1, chunk, split};
        }
      }
      return;
    }
    const int64_t together = std::clamp<int64_t>(total / (kPiecesPerThread * threads) / cost, 1, kv_heads);
    for (int32_t head = 0; head < kv_heads; head += static_cast<int32_t>(together)) {
      const int32_t count = static_cast<int32_t>(std::min<int64_t>(together, kv_heads - head));
      scratch.pieces[plan.pieces++] = {cost * count, tile, head, count, kAllChunks, 0};
    }
  });
  const auto longer = [](const Piece& a, const Piece& b) {
    if (a.cost != b.cost) return a.cost > b.cost;
    if (a.tile.first != b.tile.first) return a.tile.first < b.tile.first;
    return a.kv_head != b.kv_head ? a.kv_head < b.kv_head : a.chunk < b.chunk;
  };
  std::sort(scratch.pieces, scratch.pieces + plan.pieces, longer);
  return plan;
}

template <typename Out>
void attend_piece(const Shape& shape, const StepBatch& batch, const float* qkv, const Bfloat16* pool,
                  const Piece& piece, const Scratch& scratch, const Workspace& workspace, Out* out) {
  const int32_t* table = batch.block_tables + batch.table_starts[piece.tile.entry];
  const int32_t rows = start_rows(shape, batch, piece.tile, workspace);
  const bool all = piece.chunk == kAllChunks;
  const int32_t blocks = ceil_divide(positions_of(batch, piece.tile), shape.layout.block_size);
  const int32_t first_block = all ? 0 : piece.chunk * shape.chunk_blocks;
  const int32_t end_block = all ? blocks : std::min(blocks, first_block + shape.chunk_blocks);
  const int32_t end_head = piece.kv_head + piece.kv_heads;
  TileWalk ahead(shape, pool, table, piece.kv_head, end_head, first_block, end_block);
  ahead.skip(kTilesAhead);
  for (int32_t head = piece.kv_head; head < end_head; head++) {
    load_queries(shape, qkv, piece.tile, head, workspace);
    if (!all) {
      attend_chunk(shape, workspace, pool, table, head, rows, piece.chunk, ahead,
                   scratch.partial(shape, piece.split, piece.chunk));
      continue;
    }
    clear_merged(shape, rows, workspace.merged);
    for (int32_t chunk = 0; chunk * shape.chunk_blocks < blocks; chunk++) {
      attend_chunk(shape, workspace, pool, table, head, rows, chunk, ahead, workspace.partial);
      merge(shape, workspace.visible, rows, chunk, workspace.partial, workspace.merged);
    }
    write_output(shape, piece.tile, head, workspace.merged, out);
  }
}

template <typename Out>
void merge_split(const Shape& shape, const StepBatch& batch, const Scratch& scratch, int64_t index,
                 const Workspace& workspace, Out* out) {
  const SplitTile& split = scratch.splits[index];
  const int32_t rows = start_rows(shape, batch, split.tile, workspace);
  clear_merged(shape, rows, workspace.merged);
  const int32_t chunks = ceil_divide(positions_of(batch, split.tile), shape.chunk);
  for (int32_t chunk = 0; chunk < chunks; chunk++) {
    merge(shape, workspace.visible, rows, chunk, scratch.partial(shape, index, chunk), workspace.merged);
  }
  write_output(shape, split.tile, split.kv_head, workspace.merged, out);
}

}  // namespace

int64_t attention_scratch(const StepBatch& batch, int32_t heads, const KvLayout& layout, int threads) {
  return Scratch(nullptr, batch, Shape(batch, 0, heads, layout), threads).bytes + kAlignment;
}

template <typename Out>
void attention(const StepBatch& batch, int32_t layer, int32_t heads, const float* qkv, const KvLayout& layout,
               const Bfloat16* pool, Out* out, void* scratch_memory, ThreadPool& threads) {
  const Shape shape(batch, layer, heads, layout);
  const auto address = reinterpret_cast<uintptr_t>(scratch_memory);
  std::byte* aligned =
      static_cast<std::byte*>(scratch_memory) + (kAlignment - address % kAlignment) % kAlignment;
  const Scratch scratch(aligned, batch, shape, threads.threads());
  int64_t work = 0;
  for (int32_t entry = 0; entry < batch.entries; entry++) {
    work +=
        int64_t{batch.context_lengths[entry]} * (batch.query_starts[entry + 1] - batch.query_starts[entry]);
  }
  // A score takes two multiply-adds an element, and an exponential that is worth some dozens of them.
  work *= int64_t{heads} * (2 * layout.head_size + 32);
  const bool shared = threads.threads() > 1 && work > parallel_work.multiply_adds;
  const Plan all = plan(batch, shape, shared ? threads.threads() : 1, scratch);

  threads.run_if(shared, all.pieces, [&](int64_t i, int thread) {
    attend_piece(shape, batch, qkv, pool, scratch.pieces[i], scratch, scratch.workspace(shape, thread), out);
  });
  threads.run_if(shared, all.splits, [&](int64_t i, int thread) {
    merge_split(shape, batch, scratch, i, scratch.workspace(shape, thread), out);
  });
}

template void attention(const StepBatch&, int32_t, int32_t, const float*, const KvLayout&, const Bfloat16*,
                        float*, void*, ThreadPool&);
template void attention(const StepBatch&, int32_t, int32_t, const float*, const KvLayout&, const Bfloat16*,
                        Bfloat16*, void*, ThreadPool&);

}  // namespace weir::cpu::avx512

#endif
