#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "backend/cpu/operators.h"
#include "backend/cpu/simd.h"

namespace weir::cpu {

void reference::attention(const StepBatch& batch, int32_t layer, int32_t heads, const float* qkv,
                          const KvLayout& layout, const float* pool, float* out) {
  const int32_t size = layout.head_size;
  const int32_t group = heads / layout.kv_heads;
  const int64_t columns = (int64_t{heads} + 2 * layout.kv_heads) * size;
  const float scale = 1.0f / std::sqrt(static_cast<float>(size));
  std::vector<float> weights(batch.longest_context);
  for (int32_t token = 0; token < batch.tokens; token++) {
    const int32_t* table = batch.block_tables + batch.table_starts[batch.entry_of_token[token]];
    const int32_t visible = batch.positions[token] + 1;
    for (int32_t head = 0; head < heads; head++) {
      const float* query = qkv + token * columns + head * size;
      const auto row = [&](int64_t tile, int32_t position) {
        return pool + tile + int64_t{position % layout.block_size} * size;
      };
      float largest = -std::numeric_limits<float>::infinity();
      for (int32_t p = 0; p < visible; p++) {
        const float* key = row(layout.key_tile(table[p / layout.block_size], layer, head / group), p);
        float score = 0;
        for (int32_t i = 0; i < size; i++) score += query[i] * key[i];
        weights[p] = score * scale;
        largest = std::max(largest, weights[p]);
      }
      float sum = 0;
      for (int32_t p = 0; p < visible; p++) sum += weights[p] = std::exp(weights[p] - largest);
      float* result = out + (int64_t{token} * heads + head) * size;
      std::fill_n(result, size, 0.0f);
      for (int32_t p = 0; p < visible; p++) {
        const float* value = row(layout.value_tile(table[p / layout.block_size], layer, head / group), p);
        for (int32_t i = 0; i < size; i++) result[i] += weights[p] / sum * value[i];
      }
    }
  }
}

namespace {

// Query rows that share one pass over the keys and values of a KV head: `kQueryTile` tokens times the query
// heads of the group. Long enough that a tile of keys is used often while it is in the first-level cache.
constexpr int32_t kQueryTile = 8;

// Scratch of one work item: for each query row the running maximum, the running sum, its unnormalised output
// and the scores against one block.
struct TileState {
  float* largest;  // [rows]
  float* sum;      // [rows]
  float* output;   // [rows][head_size]
  float* scores;   // [block_size]
};

// Adds one block of keys and values to one query row: the streaming softmax of Milakov and Gimelshein (2018).
WEIR_MULTIVERSION
void accumulate_block(const float* query, const float* keys, const float* values, int32_t count, int32_t size,
                      float scale, float* scores, float* largest, float* sum, float* output) {
  float block_largest = *largest;
  for (int32_t p = 0; p < count; p++) {
    scores[p] = dot(query, keys + int64_t{p} * size, size) * scale;
    block_largest = scores[p] > block_largest ? scores[p] : block_largest;
  }
  const float correction = fast_exp(*largest - block_largest);
  float block_sum = 0;
#pragma omp simd reduction(+ : block_sum)
  for (int32_t p = 0; p < count; p++) {
    scores[p] = fast_exp(scores[p] - block_largest);
    block_sum += scores[p];
  }
  *sum = *sum * correction + block_sum;
  *largest = block_largest;
#pragma omp simd
  for (int32_t i = 0; i < size; i++) output[i] *= correction;
  for (int32_t p = 0; p < count; p++) {
    const float weight = scores[p];
    const float* value = values + int64_t{p} * size;
#pragma omp simd
    for (int32_t i = 0; i < size; i++) output[i] += weight * value[i];
  }
}

// The query tokens [first, first + count) of one entry for one KV head.
void attend_tile(const StepBatch& batch, int32_t layer, int32_t heads, const float* qkv,
                 const KvLayout& layout, const float* pool, int32_t entry, int32_t kv_head, int32_t first,
                 int32_t count, TileState state, float* out) {
  const int32_t size = layout.head_size;
  const int32_t group = heads / layout.kv_heads;
  const int64_t columns = (int64_t{heads} + 2 * layout.kv_heads) * size;
  const float scale = 1.0f / std::sqrt(static_cast<float>(size));
  const int32_t rows = count * group;
  std::fill_n(state.largest, rows, -std::numeric_limits<float>::max());
  std::fill_n(state.sum, rows, 0.0f);
  std::fill_n(state.output, int64_t{rows} * size, 0.0f);

  const int32_t* table = batch.block_tables + batch.table_starts[entry];
  const int32_t visible = batch.positions[first + count - 1] + 1;
  for (int32_t start = 0; start < visible; start += layout.block_size) {
    const int32_t block = table[start / layout.block_size];
    const float* keys = pool + layout.key_tile(block, layer, kv_head);
    const float* values = pool + layout.value_tile(block, layer, kv_head);
    for (int32_t t = 0; t < count; t++) {
      const int32_t in_block = std::min(layout.block_size, batch.positions[first + t] + 1 - start);
      if (in_block <= 0) continue;
      for (int32_t g = 0; g < group; g++) {
        const int32_t row = t * group + g;
        const float* query = qkv + (first + t) * columns + (int64_t{kv_head} * group + g) * size;
        accumulate_block(query, keys, values, in_block, size, scale, state.scores, &state.largest[row],
                         &state.sum[row], state.output + int64_t{row} * size);
      }
    }
  }
  for (int32_t t = 0; t < count; t++) {
    for (int32_t g = 0; g < group; g++) {
      const int32_t row = t * group + g;
      const float* from = state.output + int64_t{row} * size;
      float* to = out + ((first + t) * int64_t{heads} + int64_t{kv_head} * group + g) * size;
      const float inverse = 1.0f / state.sum[row];
      for (int32_t i = 0; i < size; i++) to[i] = from[i] * inverse;
    }
  }
}

int64_t tiles_of(const StepBatch& batch, int32_t entry) {
  return (batch.query_starts[entry + 1] - batch.query_starts[entry] + kQueryTile - 1) / kQueryTile;
}

}  // namespace

int64_t attention_scratch(const KvLayout& layout, int32_t heads) {
  const int64_t rows = int64_t{kQueryTile} * (heads / layout.kv_heads);
  const int64_t floats = rows * (2 + layout.head_size) + layout.block_size;
  return (floats + 15) / 16 * 16;
}

void attention(const StepBatch& batch, int32_t layer, int32_t heads, const float* qkv, const KvLayout& layout,
               const float* pool, float* out, float* scratch, ThreadPool& threads) {
  const int64_t floats = attention_scratch(layout, heads);
  const int64_t rows = int64_t{kQueryTile} * (heads / layout.kv_heads);
  int64_t work = 0;
  for (int32_t entry = 0; entry < batch.entries; entry++) {
    work +=
        int64_t{batch.context_lengths[entry]} * (batch.query_starts[entry + 1] - batch.query_starts[entry]);
  }
  // A score takes two multiply-adds an element, and an exponential that is worth some dozens of them.
  work *= int64_t{heads} * (2 * layout.head_size + 32);
  // Items are the query tiles of all entries; each is searched for, which is little beside the work that it
  // stands for.
  int64_t tiles = 0;
  for (int32_t entry = 0; entry < batch.entries; entry++) tiles += tiles_of(batch, entry);
  threads.run_if(work > parallel_work.multiply_adds, tiles * layout.kv_heads, [&](int64_t item, int thread) {
    float* own = scratch + thread * floats;
    const TileState state{own, own + rows, own + 2 * rows, own + rows * (2 + layout.head_size)};
    int64_t tile = item / layout.kv_heads;
    int32_t entry = 0;
    while (tile >= tiles_of(batch, entry)) tile -= tiles_of(batch, entry++);
    const int32_t first = batch.query_starts[entry] + static_cast<int32_t>(tile) * kQueryTile;
    attend_tile(batch, layer, heads, qkv, layout, pool, entry, static_cast<int32_t>(item % layout.kv_heads),
                first, std::min(kQueryTile, batch.query_starts[entry + 1] - first), state, out);
  });
}

}  // namespace weir::cpu
