// What a device must be able to do. The forward pass (model/llama.cc) and the KV cache (core/kv_cache.cc) are
// written against this interface only; cpu/ and cuda/ implement it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "backend/kv_layout.h"
#include "model/safetensors.h"
#include "weir.h"

namespace weir {

// Memory of a device, freed with the object. Zeroed when handed out.
class Memory {
 public:
  virtual ~Memory() = default;
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 protected:
  Memory(void* data, size_t bytes) : data_(data), bytes_(bytes) {}

 private:
  void* data_;
  size_t bytes_;
};

// Activations: [rows][columns], row-major, in the element type that the backend keeps that kind of
// activations in (ElementBytes).
struct Activations {
  void* data = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;
  int32_t element_bytes = 4;  // 4: 32-bit floats; 2: the 16-bit type of the backend's precision
};

// A weight as the backend keeps it: a vector, an embedding table, or a matrix packed the way its matmul
// likes.
class Weight {
 public:
  virtual ~Weight() = default;
  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }

 protected:
  Weight(int64_t rows, int64_t columns) : rows_(rows), columns_(columns) {}

 private:
  int64_t rows_;
  int64_t columns_;
};

// Where the elements of a weight come from: tensors of a checkpoint stacked by rows, or a random draw.
struct WeightSource {
  std::span<const TensorView> parts;  // empty: random
  int64_t rows = 0;
  int64_t columns = 0;
  uint64_t seed = 0;  // random: element i is a function of (seed, stream, i)
  uint64_t stream = 0;
  float mean = 0;       // random: uniform around this mean
  float deviation = 0;  // random: with this standard deviation
};

// Bytes of an element of each kind of data.
struct ElementBytes {
  int32_t residual = 4;       // what embed gives and add_rms_norm adds to
  int32_t matmul_input = 4;   // what the norms, attention and silu_multiply give
  int32_t matmul_output = 4;  // qkv, gate_up, deltas
  int32_t logits = 4;
};

// The pool of KV blocks on the device and the swap space on the host.
class KvPool {
 public:
  virtual ~KvPool() = default;
  virtual void copy_block(int32_t from, int32_t to) = 0;
  virtual void swap_out(int32_t block, int32_t swap_block) = 0;
  virtual void swap_in(int32_t swap_block, int32_t block) = 0;

  const KvLayout& layout() const { return layout_; }
  void* data() const { return data_; }

 protected:
  KvPool(const KvLayout& layout, void* data) : layout_(layout), data_(data) {}
  void set_data(void* data) { data_ = data; }

 private:
  KvLayout layout_;
  void* data_;
};

// What the operators of one step need to know about its batch. Host arrays, valid during the step. A backend
// may pad a batch of decodes with entries of one token each that belong to no sequence: their position is -1.
struct StepBatch {
  int32_t entries = 0;
  int32_t tokens = 0;
  int32_t samples = 0;
  int32_t longest_context = 0;
  const int32_t* token_ids = nullptr;       // [tokens]
  const int32_t* positions = nullptr;       // [tokens] position of each token in its sequence
  const int32_t* entry_of_token = nullptr;  // [tokens]
  const int32_t* query_starts =
      nullptr;  // [entries + 1] rows of entry e: query_starts[e] .. query_starts[e + 1]
  const int32_t* context_lengths = nullptr;  // [entries] tokens of the sequence, this step's included
  const int32_t* block_tables = nullptr;     // all block tables, one after another
  const int64_t* table_starts = nullptr;     // [entries + 1] into block_tables
  const int32_t* sample_rows = nullptr;      // [samples] row (token index) to sample after
};

// How to choose one token.
struct SampleRequest {
  float temperature = 0;
  int32_t top_k = 0;
  float top_p = 1;
  float repetition_penalty = 1;
  uint64_t seed = 0;
  int64_t position = 0;  // of the new token in its sequence
  int32_t top_logprobs = 0;
  std::span<const int32_t> history;  // tokens of the sequence so far
};

// Where the chosen token goes. top_* have room for SampleRequest::top_logprobs.
struct SampleResult {
  int32_t* token;
  float* logprob;
  int32_t* top_tokens;
  float* top_token_logprobs;
};

// The largest step that a context is for, and the model and pool it runs on.
struct ContextLimits {
  int32_t max_entries = 0;
  int32_t max_tokens = 0;
  int32_t max_samples = 0;
  int32_t max_top_logprobs = 0;
  int32_t vocabulary_size = 0;
  int32_t context_length = 0;
  int32_t heads = 0;
  int32_t kv_heads = 0;
  int32_t head_size = 0;
  int32_t block_size = 0;
};

// One stream of execution with its scratch memory. Operators run in the order of the calls. One thread at a
// time.
class Context {
 public:
  virtual ~Context() = default;

  // Sets up what run() needs for the batches that are likely, with the same `forward`, which for this
  // computes on sequences that do not exist and changes no pool. Not needed for run().
  virtual void prepare(const std::function<void(const StepBatch&)>& forward) { (void)forward; }
  // Computes `forward`, which calls the operators below, for `batch`; they are called within run() alone,
  // sample() and read_row() after it. A backend that prepares its device for a batch, pads it, or replays
  // what it recorded earlier does so here: `forward` may get another StepBatch, or not be called at all, so
  // what it does must be the same for all batches of the same sizes (entries, tokens, samples). `pool` is
  // null if no operator uses one.
  virtual void run(const StepBatch& batch, KvPool* pool,
                   const std::function<void(const StepBatch&)>& forward) {
    (void)pool;
    forward(batch);
  }

  // Names what comes next on a profiler's time line, up to the next mark; null ends the last one.
  virtual void mark(const char* name) { (void)name; }

  // out[t] = table[token_ids[t]]. The table may be a matrix where the backend embeds from matrices.
  virtual void embed(const StepBatch& batch, const Weight& table, Activations out) = 0;
  // out = x / rms(x) * gain, by rows
  virtual void rms_norm(Activations x, const Weight& gain, float epsilon, Activations out) = 0;
  // residual += delta; out = rms_norm(residual)
  virtual void add_rms_norm(Activations residual, Activations delta, const Weight& gain, float epsilon,
                            Activations out) = 0;
  // out = x * weight^T: [rows][in] -> [rows][out]
  virtual void matmul(const Weight& weight, Activations x, Activations out) = 0;
  // Rotates (rotate-half) the queries and keys of qkv = [tokens][heads + 2 kv_heads][head_size] in place and
  // writes keys and values into the pool. rotations = [context_length][head_size / 2][cos, sin].
  virtual void rope_append(const StepBatch& batch, int32_t layer, int32_t heads, const Weight& rotations,
                           Activations qkv, KvPool& pool) = 0;
  // Causal attention of the queries in qkv over the paged context: out = [tokens][heads][head_size].
  virtual void attention(const StepBatch& batch, int32_t layer, int32_t heads, Activations qkv,
                         const KvPool& pool, Activations out) = 0;
  // out = silu(gate) * up, where each row of gate_up is gate followed by up
  virtual void silu_multiply(Activations gate_up, Activations out) = 0;
  // out = silu(x * gate^T) * (x * up^T), where the rows of `gate_up` are gate followed by up. `scratch` has
  // room for [rows][2 * columns of out].
  virtual void gated_matmul(const Weight& gate_up, Activations x, Activations scratch, Activations out) {
    matmul(gate_up, x, scratch);
    silu_multiply(scratch, out);
  }
  // out[i] = x[batch.sample_rows[i]]
  virtual void gather_samples(const StepBatch& batch, Activations x, Activations out) = 0;
  // Chooses one token for each row of logits. Row i depends on row i and requests[i] alone. Returns the first
  // row whose logits hold a NaN or +infinity, for which nothing is chosen, or -1.
  virtual int64_t sample(Activations logits, std::span<const SampleRequest> requests,
                         std::span<const SampleResult> results) = 0;
  // Copies one row of activations to the host as 32-bit floats.
  virtual void read_row(Activations x, int64_t row, float* out) = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual void describe(weir_device_info& info) const = 0;
  virtual ElementBytes element_bytes() const = 0;
  // Throws WEIR_UNSUPPORTED if the device keeps no such KV, WEIR_INVALID_ARGUMENT if there is no such
  // precision.
  virtual KvElement kv_element(weir_precision precision) const = 0;
  // Bytes that a weight takes.
  virtual int64_t matrix_bytes(int64_t rows, int64_t columns) const = 0;
  virtual int64_t table_bytes(int64_t rows, int64_t columns) const = 0;
  // Whether embed() takes a matrix as well, so that a head that shares its weights with the embedding is kept
  // once.
  virtual bool embeds_from_matrices() const = 0;
  // Bytes that can be allocated now.
  virtual int64_t available_memory() const = 0;
  // Rows that an activation buffer must have so that `rows` rows can pass through every operator.
  virtual int64_t padded_rows(int64_t rows) const = 0;
  // Bytes on the device that a context takes besides the activations, and an estimate from above of what it
  // records there.
  virtual int64_t context_bytes(const ContextLimits& limits) const = 0;
  virtual int64_t graph_bytes(const ContextLimits& limits, int32_t layers) const = 0;

  // `what` names the use in the message of WEIR_OUT_OF_MEMORY.
  virtual std::unique_ptr<Memory> allocate(int64_t bytes, const char* what) = 0;
  // Kept in 32-bit floats.
  virtual std::unique_ptr<Weight> make_vector(const WeightSource& source) = 0;
  virtual std::unique_ptr<Weight> make_table(const WeightSource& source) = 0;
  virtual std::unique_ptr<Weight> make_matrix(const WeightSource& source) = 0;
  virtual std::unique_ptr<KvPool> make_pool(const KvLayout& layout, int64_t blocks, int64_t swap_blocks) = 0;
  virtual std::unique_ptr<Context> make_context(const ContextLimits& limits) = 0;

  // Waits until the copy is done. For tests and benchmarks; operators keep data where it is.
  virtual void copy_to_device(void* to, const void* from, int64_t bytes) = 0;
  virtual void copy_to_host(void* to, const void* from, int64_t bytes) = 0;
};

// Throws Error WEIR_DEVICE_UNAVAILABLE with the reason.
std::unique_ptr<Backend> open_backend(const weir_device_options& options);
// Throws like open_backend.
void probe_backend(weir_device_kind kind, int32_t ordinal);

}  // namespace weir
