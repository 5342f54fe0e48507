#include "backend/cpu/avx512/operators.h"
#include "backend/cpu/avx512/vector.h"
#include "backend/cpu/operators.h"

#if defined(WEIR_HAS_AVX512)

namespace weir::cpu::avx512 {
namespace {

// Separates [cos, sin] pairs.
WEIR_AVX512_INLINE void load_rotation(const float* rotation, int64_t pairs, __m512& cosine, __m512& sine) {
  const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  const __m512i odd = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
  const __m512 low = _mm512_maskz_loadu_ps(first_lanes(2 * pairs), rotation);
  const __m512 high =
      pairs > kLanes / 2 ? _mm512_maskz_loadu_ps(first_lanes(2 * pairs - kLanes), rotation + kLanes) : low;
  cosine = _mm512_permutex2var_ps(low, even, high);
  sine = _mm512_permutex2var_ps(low, odd, high);
}

// Rotates `heads` heads in place. Hugging Face's convention: element i pairs with element i + head_size / 2.
WEIR_AVX512 void rotate(float* head, int32_t heads, const float* rotation, int32_t head_size) {
  const int32_t half = head_size / 2;
  for (int32_t i = 0; i < half; i += kLanes) {
    const __mmask16 lanes = first_lanes(half - i);
    __m512 cosine, sine;
    load_rotation(rotation + 2 * i, half - i, cosine, sine);
    for (int32_t h = 0; h < heads; h++) {
      float* at = head + int64_t{h} * head_size + i;
      const __m512 a = _mm512_maskz_loadu_ps(lanes, at);
      const __m512 b = _mm512_maskz_loadu_ps(lanes, at + half);
      store(at, lanes, _mm512_fmsub_ps(a, cosine, _mm512_mul_ps(b, sine)));
      store(at + half, lanes, _mm512_fmadd_ps(b, cosine, _mm512_mul_ps(a, sine)));
    }
  }
}

// Rounds a key to bfloat16 and scatters its pairs of elements over the tile.
WEIR_AVX512 void append_key(const float* key, int32_t head_size, int32_t block_size, int32_t slot,
                            Bfloat16* tile) {
  for (int32_t i = 0; i < head_size; i += kLanes) {
    alignas(32) uint32_t pairs[kLanes / 2];
    const int32_t count = head_size - i < kLanes ? head_size - i : kLanes;
    const __m256i rounded = round_to_bfloat16(_mm512_maskz_loadu_ps(first_lanes(count), key + i));
    _mm256_store_si256(reinterpret_cast<__m256i*>(pairs), rounded);
    for (int32_t pair = 0; pair < count / 2; pair++) {
      std::memcpy(tile + key_offset(block_size, slot, i + 2 * pair), &pairs[pair], sizeof pairs[pair]);
    }
  }
}

WEIR_AVX512 void append_value(const float* value, int32_t head_size, Bfloat16* to) {
  for (int32_t i = 0; i < head_size; i += kLanes) {
    const __mmask16 lanes = first_lanes(head_size - i);
    store(to + i, lanes, _mm512_maskz_loadu_ps(lanes, value + i));
  }
}

void append_row(const StepBatch& batch, int32_t layer, int32_t heads, const float* rotations, float* row,
                int32_t token, const KvLayout& layout, Bfloat16* pool) {
  const int32_t size = layout.head_size;
  const int32_t position = batch.positions[token];
  rotate(row, heads + layout.kv_heads, rotations + int64_t{position} * size, size);
  const int32_t* table = batch.block_tables + batch.table_starts[batch.entry_of_token[token]];
  const int32_t block = table[position / layout.block_size];
  const int32_t slot = position % layout.block_size;
  const float* keys = row + int64_t{heads} * size;
  const float* values = keys + int64_t{layout.kv_heads} * size;
  for (int32_t head = 0; head < layout.kv_heads; head++) {
    append_key(keys + int64_t{head} * size, size, layout.block_size, slot,
               pool + layout.key_tile(block, layer, head));
    append_value(values + int64_t{head} * size, size,
                 pool + layout.value_tile(block, layer, head) + int64_t{slot} * size);
  }
}

}  // namespace

void rope_append(const StepBatch& batch, int32_t layer, int32_t heads, const float* rotations, float* qkv,
                 const KvLayout& layout, Bfloat16* pool, ThreadPool& threads) {
  const int64_t columns = (int64_t{heads} + 2 * layout.kv_heads) * layout.head_size;
  threads.run_if(batch.tokens * columns > parallel_work.elements, batch.tokens, [&](int64_t token, int) {
    append_row(batch, layer, heads, rotations, qkv + token * columns, static_cast<int32_t>(token), layout,
               pool);
  });
}

}  // namespace weir::cpu::avx512

#endif
