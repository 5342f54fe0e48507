// The operators of the CPU backends on plain float arrays, one file each. `reference` holds the plain
// single-threaded loops that define the result; the others are the threaded ones. Shapes as in backend.h.
#pragma once

#include <cstdint>
#include <span>

#include "backend/backend.h"
#include "backend/cpu/thread_pool.h"

namespace weir::cpu {

// Work below these amounts is done by the calling thread: waking and joining the others takes some
// microseconds, and milliseconds when other processes have their cores. Variables, so that tests can make
// every operator share its work.
struct ParallelWork {
  int64_t elements = int64_t{1} << 17;       // of an element-wise operator
  int64_t logits = int64_t{1} << 15;         // of the sampler, which takes an exponential for each
  int64_t multiply_adds = int64_t{1} << 20;  // of a matmul or of attention
};
inline ParallelWork parallel_work;

namespace reference {
void rms_norm(const float* x, const float* gain, float epsilon, int64_t rows, int64_t columns, float* out);
void matmul(const float* weight, const float* x, int64_t rows, int64_t in, int64_t out_size, float* out);
void attention(const StepBatch& batch, int32_t layer, int32_t heads, const float* qkv, const KvLayout& layout,
               const float* pool, float* out);
void silu_multiply(const float* gate_up, int64_t rows, int64_t columns, float* out);
}  // namespace reference

void rms_norm(const float* x, const float* gain, float epsilon, int64_t rows, int64_t columns, float* out,
              ThreadPool& threads);
// residual += delta; out = rms_norm(residual)
void add_rms_norm(float* residual, const float* delta, const float* gain, float epsilon, int64_t rows,
                  int64_t columns, float* out, ThreadPool& threads);
void matmul(const float* weight, const float* x, int64_t rows, int64_t in, int64_t out_size, float* out,
            ThreadPool& threads);
void rope_append(const StepBatch& batch, int32_t layer, int32_t heads, const float* rotations, float* qkv,
                 const KvLayout& layout, float* pool, ThreadPool& threads);
void silu_multiply(const float* gate_up, int64_t rows, int64_t columns, float* out, ThreadPool& threads);

// Floats of scratch that attention() needs for each thread.
int64_t attention_scratch(const KvLayout& layout, int32_t heads);
void attention(const StepBatch& batch, int32_t layer, int32_t heads, const float* qkv, const KvLayout& layout,
               const float* pool, float* out, float* scratch, ThreadPool& threads);

// Scratch of the sampler for one thread.
struct SampleScratch {
  float* logits;        // [vocabulary_size]
  float* weights;       // [vocabulary_size]
  int32_t* candidates;  // [vocabulary_size]
  uint64_t* seen;       // [ceil(vocabulary_size / 64)], all zero between calls
};
// False, with nothing written, if the logits hold a NaN or +infinity. Weights are computed in 32 bits: the
// token is that of exact arithmetic unless the random number, or top_p, is within 1e-6 of where another one
// begins. The same bits with every instruction set.
bool sample_row(const float* logits, int32_t vocabulary_size, const SampleRequest& request,
                const SampleResult& result, const SampleScratch& scratch);

}  // namespace weir::cpu
