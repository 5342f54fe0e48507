// What an operator or a step cannot do without: bytes through the device's memory and operations. This is the
// one place where either is counted; the rules are at each function.
//
// Bytes are the fewest: each input is read once and each output written once. Within a whole step,
// activations between operators count nothing, because a step of decodes can keep them on the chip, and so a
// step counts its weights, its keys and values and the rows of the embedding that it looks up. A
// multiplication and an addition are two operations. Only multiplications of matrices and attention are
// counted: what norms, rotations and activation functions compute is less than a thousandth of it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace weir::benchmark {

struct Work {
  double bytes = 0;
  double operations = 0;

  Work& operator+=(const Work& other) {
    bytes += other.bytes;
    operations += other.operations;
    return *this;
  }
  friend Work operator+(Work a, const Work& b) { return a += b; }
};

// The sizes of a Llama model. Weights and activations take two bytes an element.
struct ModelShape {
  std::string name;
  int64_t hidden = 0;
  int64_t intermediate = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_size = 0;
  int64_t vocabulary = 0;
  int64_t context_length = 0;

  int64_t query_size() const { return heads * head_size; }
  int64_t kv_size() const { return kv_heads * head_size; }
  int64_t layer_matrix_parameters() const;  // query, key, value, output, gate, up, down
  int64_t head_parameters() const { return vocabulary * hidden; }
  int64_t norm_parameters() const { return (2 * layers + 1) * hidden; }
  // All of them, the embedding that is not tied to the head included.
  int64_t parameters() const;
};

ModelShape llama_2_7b();
ModelShape tinyllama_1b();  // TinyLlama-1.1B: 32 query heads in groups of 8, of 64 elements
ModelShape smoke_model();   // the smallest shape that takes the same kernels as Llama-2-7B

// How keys and values are kept.
struct KvFormat {
  std::string name = "fp16";
  int64_t bytes = 2;    // of an element
  bool scaled = false;  // each key and each value of a head has a 32-bit scale
};

// Keys and values of one token in one layer.
double kv_bytes_per_token(const ModelShape& shape, const KvFormat& kv);

// One sequence in a step: `tokens` of this step, and its length after it.
struct Entry {
  int64_t context = 0;
  int64_t tokens = 1;
  bool samples = true;
};

// Pairs of a query and a key that it sees: each of the entry's tokens sees those up to itself.
double attended_pairs(const Entry& entry);

// Attention of one layer over keys and values that are in the pool already: reads them and the queries,
// writes the result. 4 operations for each attended pair and each element of a query: two for the score, two
// for the sum of values.
Work attention_work(const ModelShape& shape, const KvFormat& kv, std::span<const Entry> entries);

// rows of `in` elements of two bytes by [out][in]: reads both, writes rows of `out` elements of output_bytes.
Work matmul_work(int64_t rows, int64_t in, int64_t out, int64_t output_bytes);

// A whole step by its two parts, which have different limits.
struct StepWork {
  Work matrices;   // weights, norms and looked-up rows of the embedding, once; the head for rows that sample
  Work attention;  // of all layers: keys and values of the whole context, of which those of this step's
                   // tokens are written and the others read
  Work total() const { return matrices + attention; }
};
StepWork step_work(const ModelShape& shape, const KvFormat& kv, std::span<const Entry> entries);

// Bytes of the floors that shared/design/gpu.md tabulates for decode steps: all parameters, the whole
// embedding included, and the keys and values of all resident tokens. 2 % more than step_work() counts for
// Llama-2-7B.
double tabulated_floor_bytes(const ModelShape& shape, const KvFormat& kv, int64_t resident_tokens);

// The least time for `work` on a device with these rates, in bytes and operations a second. A rate of 0
// limits nothing.
struct Floor {
  double seconds = 0;
  const char* bound = "";  // "memory" or "arithmetic", whichever takes longer
};
Floor floor_of(const Work& work, double bytes_per_second, double operations_per_second);
// As if each part of the step ran alone, each at its own limit: not less than floor_of(work.total()).
double floor_by_part(const StepWork& work, double bytes_per_second, double operations_per_second);

}  // namespace weir::benchmark
