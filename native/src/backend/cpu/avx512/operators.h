// The operators in bfloat16 with 32-bit accumulation, for processors with AVX-512 BF16 (target.h). Shapes as
// in backend.h: the residual, qkv, gate_up and logits are 32-bit floats; what goes into a multiplication of
// matrices is bfloat16 (or float, where it is going to be quantized); keys and values are bfloat16.
//
// The numbers of a row (token) do not depend on what other rows are in the batch, nor on the number of
// threads.
#pragma once

#include <cstdint>

#include "backend/backend.h"
#include "backend/cpu/bfloat16.h"
#include "backend/cpu/thread_pool.h"

namespace weir::cpu::avx512 {

// The arrangement of a [block_size][head_size] tile of the KV pool. Keys: element i of the token in slot s
// lies at (i / 2 * block_size + s) * 2 + i % 2, pairs of elements of one token after another over the tokens,
// so that a dot product with many keys needs no sum across a register. Values: row-major.
inline int64_t key_offset(int32_t block_size, int32_t slot, int32_t element) {
  return (int64_t{element / 2} * block_size + slot) * 2 + element % 2;
}

template <typename Out>
void rms_norm(const float* x, const float* gain, float epsilon, int64_t rows, int64_t columns, Out* out,
              ThreadPool& threads);
// residual += delta; out = rms_norm(residual)
template <typename Out>
void add_rms_norm(float* residual, const float* delta, const float* gain, float epsilon, int64_t rows,
                  int64_t columns, Out* out, ThreadPool& threads);
template <typename Out>
void silu_multiply(const float* gate_up, int64_t rows, int64_t columns, Out* out, ThreadPool& threads);

// Rotates the queries of qkv in place, and writes rotated keys and the values into the pool.
void rope_append(const StepBatch& batch, int32_t layer, int32_t heads, const float* rotations, float* qkv,
                 const KvLayout& layout, Bfloat16* pool, ThreadPool& threads);

// Bytes of scratch that attention() needs for a batch on `threads` threads. Grows with the batch and the
// context only.
int64_t attention_scratch(const StepBatch& batch, int32_t heads, const KvLayout& layout, int threads);
template <typename Out>
void attention(const StepBatch& batch, int32_t layer, int32_t heads, const float* qkv, const KvLayout& layout,
               const Bfloat16* pool, Out* out, void* scratch, ThreadPool& threads);

}  // namespace weir::cpu::avx512
