#include <algorithm>

#include "backend/cpu/operators.h"
#include "backend/cpu/simd.h"

namespace weir::cpu {
namespace {

// Hugging Face's convention: element i pairs with element i + head_size / 2.
__attribute__((always_inline)) inline void rotate(float* head, const float* rotation, int32_t head_size) {
  const int32_t half = head_size / 2;
#pragma omp simd
  for (int32_t i = 0; i < half; i++) {
    const float cosine = rotation[2 * i];
    const float sine = rotation[2 * i + 1];
    const float a = head[i];
    const float b = head[i + half];
    head[i] = a * cosine - b * sine;
    head[i + half] = b * cosine + a * sine;
  }
}

struct Placement {
  int32_t block;
  int32_t slot;
};

Placement place(const StepBatch& batch, int32_t entry, int32_t position, int32_t block_size) {
  return {batch.block_tables[batch.table_starts[entry] + position / block_size], position % block_size};
}

void append_row(const StepBatch& batch, int32_t layer, int32_t heads, const float* rotations, float* row,
                int32_t token, const KvLayout& layout, float* pool) {
  const int32_t size = layout.head_size;
  const int32_t position = batch.positions[token];
  const float* rotation = rotations + int64_t{position} * size;
  for (int32_t head = 0; head < heads + layout.kv_heads; head++) rotate(row + head * size, rotation, size);
  const Placement at = place(batch, batch.entry_of_token[token], position, layout.block_size);
  const float* keys = row + int64_t{heads} * size;
  const float* values = keys + int64_t{layout.kv_heads} * size;
  for (int32_t head = 0; head < layout.kv_heads; head++) {
    std::copy_n(keys + head * size, size,
                pool + layout.key_tile(at.block, layer, head) + int64_t{at.slot} * size);
    std::copy_n(values + head * size, size,
                pool + layout.value_tile(at.block, layer, head) + int64_t{at.slot} * size);
  }
}

}  // namespace

void rope_append(const StepBatch& batch, int32_t layer, int32_t heads, const float* rotations, float* qkv,
                 const KvLayout& layout, float* pool, ThreadPool& threads) {
  const int64_t columns = (int64_t{heads} + 2 * layout.kv_heads) * layout.head_size;
  threads.run_if(batch.tokens * columns > parallel_work.elements, batch.tokens, [&](int64_t token, int) {
    append_row(batch, layer, heads, rotations, qkv + token * columns, static_cast<int32_t>(token), layout,
               pool);
  });
}

}  // namespace weir::cpu
