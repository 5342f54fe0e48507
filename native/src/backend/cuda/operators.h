// The operators as functions that launch kernels on a stream. Every pointer is an address on the device
// unless it is said otherwise; `type` is that of weights and activations, kF16 or kBf16. What depends on the
// batch of one step, other than its padded sizes, is read from device memory, so that a launch can be
// recorded and replayed.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "backend/cuda/attention_plan.h"
#include "backend/cuda/element_type.h"
#include "backend/kv_layout.h"

namespace weir::cuda {

// The arrays of StepBatch on the device, at the same addresses in every step of a context.
struct DeviceBatch {
  const int32_t* token_ids = nullptr;        // [tokens]
  const int32_t* positions = nullptr;        // [tokens]; -1: padding
  const int32_t* entry_of_token = nullptr;   // [tokens]; -1: padding
  const int32_t* query_starts = nullptr;     // [entries + 1]
  const int32_t* context_lengths = nullptr;  // [entries]; 0: padding
  const int32_t* block_tables = nullptr;     // all block tables, one after another
  const int64_t* table_starts = nullptr;     // [entries + 1] into block_tables
  const int32_t* sample_rows = nullptr;      // [samples]
};

// residual[t] = table[token_ids[t]]: [vocabulary][columns] of `type` -> [rows][columns] of floats
void embed(cudaStream_t stream, ElementType type, const DeviceBatch& batch, const void* table,
           float* residual, int64_t rows, int64_t columns);

// out = x / rms(x) * gain, by rows
void rms_norm(cudaStream_t stream, ElementType type, const float* x, const float* gain, float epsilon,
              void* out, int64_t rows, int64_t columns);

// residual += delta; out = rms_norm(residual). residual in floats, delta and out of `type`
void add_rms_norm(cudaStream_t stream, ElementType type, float* residual, const void* delta,
                  const float* gain, float epsilon, void* out, int64_t rows, int64_t columns);

// out = silu(gate) * up: gate_up = [rows][gate: columns, up: columns] -> [rows][columns]
void silu_multiply(cudaStream_t stream, ElementType type, const void* gate_up, void* out, int64_t rows,
                   int64_t columns);

// out[i] = x[sample_rows[i]]: rows of `columns` elements of `type`
void gather_samples(cudaStream_t stream, ElementType type, const DeviceBatch& batch, const void* x, void* out,
                    int64_t samples, int64_t columns);

struct QkvShape {
  ElementType type = ElementType::kF16;
  int32_t layer = 0;
  int32_t heads = 0;  // kv_heads and head_size are those of the layout
  KvLayout layout;    // layout.element says how keys and values are kept
};

// Rotates (rotate-half) queries and keys of qkv = [rows][heads + 2 kv_heads][head_size] in place and writes
// keys and values into the pool. rotations = [context_length][head_size / 2][cos,
// sin] in floats. Rows with position -1 are left alone.
void rope_append(cudaStream_t stream, const QkvShape& shape, const DeviceBatch& batch, const float* rotations,
                 void* qkv, void* pool, int64_t rows);

struct AttentionArguments {
  QkvShape shape;
  DeviceBatch batch;
  AttentionPlan plan;       // where the work lists of this step lie on the device
  AttentionLaunch launch;   // as prepare_attention returned it
  int64_t rows = 0;         // of qkv and out, padded ones included
  void* scratch = nullptr;  // AttentionLimits::scratch_bytes()
  const void* qkv = nullptr;
  const void* pool = nullptr;
  void* out = nullptr;  // [rows][heads][head_size]
};

// Asks the current device for what the kernels of attention() need and finds how to launch them. Once for a
// context, before anything is recorded. Throws WEIR_UNSUPPORTED for head sizes that are odd or above 256.
AttentionLaunch prepare_attention(const QkvShape& shape, const AttentionLimits& limits);

// Causal softmax attention with scale 1 / sqrt(head_size) of the queries in qkv over the paged context. Rows
// of padding are not written. The numbers of a row do not depend on the other rows.
void attention(cudaStream_t stream, const AttentionArguments& arguments);

// What one row of logits is sampled with. On the device.
struct SampleParameters {
  float temperature;
  float top_p;
  float repetition_penalty;
  int32_t top_k;
  int32_t top_logprobs;
  int32_t history_start;  // into SampleArguments::history
  int32_t history_count;  // 0 unless the repetition penalty is not 1
  int32_t reserved;
  uint64_t seed;
  int64_t position;
};

struct SampleArguments {
  const float* logits = nullptr;  // [rows][vocabulary_size]
  int32_t rows = 0;
  int32_t vocabulary_size = 0;
  int32_t max_top_logprobs = 0;
  const SampleParameters* parameters = nullptr;  // [rows]
  const int32_t* history = nullptr;
  void* scratch = nullptr;              // sample_scratch_bytes(max rows, vocabulary_size)
  int32_t* tokens = nullptr;            // [rows]; -1: the row has a NaN or +infinity
  float* logprobs = nullptr;            // [rows]
  int32_t* top_tokens = nullptr;        // [rows][max_top_logprobs]
  float* top_token_logprobs = nullptr;  // [rows][max_top_logprobs]
};

int64_t sample_scratch_bytes(int32_t rows, int32_t vocabulary_size);
// Chooses one token for each row, with the semantics of cpu/sampler.cc.
void sample(cudaStream_t stream, const SampleArguments& arguments);

}  // namespace weir::cuda
