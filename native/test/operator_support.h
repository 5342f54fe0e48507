// Random operator inputs, and every backend that can run them here.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/avx512/target.h"
#include "backend/cpu/operators.h"

namespace weir::test {

// While it lives, the threads of the CPU backend share even the smallest work.
class SharedWork {
 public:
  SharedWork() : usual_(std::exchange(cpu::parallel_work, {0, 0, 0})) {}
  ~SharedWork() { cpu::parallel_work = usual_; }
  SharedWork(const SharedWork&) = delete;
  SharedWork& operator=(const SharedWork&) = delete;

 private:
  cpu::ParallelWork usual_;
};

struct NamedBackend {
  std::string name;
  std::unique_ptr<Backend> backend;
};

// The backends in 32-bit floats on this machine, with one to four threads; each operator test runs on all of
// them.
class PresentBackends {
 public:
  PresentBackends() {
    open(WEIR_DEVICE_CPU_REFERENCE, 1, "cpu-reference");
    for (const int32_t threads : {1, 2, 3, 4}) open(WEIR_DEVICE_CPU, threads, "cpu");
  }
  auto begin() const { return present_.begin(); }
  auto end() const { return present_.end(); }

 private:
  void open(weir_device_kind kind, int32_t threads, const char* name) {
    weir_device_options options{};
    options.kind = kind;
    options.threads = threads;
    options.precision = WEIR_PRECISION_FP32;
    present_.push_back(
        {std::string(name) + " with " + std::to_string(threads) + " threads", open_backend(options)});
  }

  SharedWork shared_work_;
  std::vector<NamedBackend> present_;
};

inline std::vector<float> random_floats(size_t count, uint32_t seed, float deviation = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// Whether this processor computes in bf16 and int8; says so if not.
inline bool has_avx512() {
  if (cpu::avx512::supported()) return true;
  MESSAGE("skipped: bf16 and int8 need a processor with AVX-512 BF16");
  return false;
}

// RMSNorm in fp64.
inline std::vector<double> expected_norm(std::span<const double> x, std::span<const float> gain,
                                         double epsilon, int64_t rows, int64_t columns) {
  std::vector<double> out(x.size());
  for (int64_t r = 0; r < rows; r++) {
    double squares = 0;
    for (int64_t i = 0; i < columns; i++) squares += x[r * columns + i] * x[r * columns + i];
    const double scale = 1 / std::sqrt(squares / static_cast<double>(columns) + epsilon);
    for (int64_t i = 0; i < columns; i++) out[r * columns + i] = x[r * columns + i] * scale * gain[i];
  }
  return out;
}

// ||out - expected|| / ||expected||
inline double relative_error(std::span<const float> out, std::span<const double> expected) {
  REQUIRE(out.size() == expected.size());
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < out.size(); i++) {
    difference += (out[i] - expected[i]) * (out[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(difference / norm);
}

// Room for whatever the operator tests do.
inline ContextLimits limits_of(int32_t vocabulary_size, int32_t block_size = 16) {
  ContextLimits limits;
  limits.max_entries = 300;
  limits.max_tokens = 4200;
  limits.max_samples = 300;
  limits.max_top_logprobs = 64;
  limits.vocabulary_size = vocabulary_size;
  limits.context_length = 4200;
  limits.heads = 40;
  limits.kv_heads = 40;
  limits.head_size = 128;
  limits.block_size = block_size;
  return limits;
}

constexpr double kFp32Tolerance = 5e-6;

// Activations in device memory, with padding rows as the operators ask for; starts out full of NaN, so that a
// row that an operator leaves out is seen.
class Tensor {
 public:
  Tensor(Backend& backend, int64_t rows, int64_t columns)
      : memory_(backend.allocate(backend.padded_rows(rows) * columns * 4, "a test")),
        rows_(rows),
        columns_(columns) {
    std::fill_n(data(), memory_->bytes() / 4, std::numeric_limits<float>::quiet_NaN());
  }
  Tensor(Backend& backend, int64_t rows, int64_t columns, std::span<const float> values)
      : Tensor(backend, rows, columns) {
    std::copy(values.begin(), values.end(), data());
  }
  float* data() const { return static_cast<float*>(memory_->data()); }
  Activations view() const { return {memory_->data(), rows_, columns_}; }
  std::span<const float> values() const { return {data(), static_cast<size_t>(rows_ * columns_)}; }

 private:
  std::unique_ptr<Memory> memory_;
  int64_t rows_;
  int64_t columns_;
};

inline TensorView view_of(std::span<const float> values, int64_t rows, int64_t columns) {
  return {
      DataType::F32, {rows, columns}, reinterpret_cast<const std::byte*>(values.data()), values.size_bytes()};
}

// A batch with block tables in random order.
struct RandomBatch {
  std::vector<int32_t> token_ids, positions, entry_of_token, query_starts{0}, context_lengths, block_tables,
      sample_rows;
  std::vector<int64_t> table_starts{0};
  int32_t blocks = 0;

  struct Entry {
    int32_t context;  // tokens of the sequence after the step
    int32_t queries;  // of which are new
  };

  RandomBatch(std::span<const Entry> entries, int32_t block_size, int32_t vocabulary, uint32_t seed) {
    std::mt19937 random(seed);
    for (const Entry& entry : entries) blocks += (entry.context + block_size - 1) / block_size;
    blocks += 3;  // some belong to nobody
    std::vector<int32_t> ids(blocks);
    std::iota(ids.begin(), ids.end(), 0);
    std::shuffle(ids.begin(), ids.end(), random);
    size_t next = 0;
    for (size_t e = 0; e < entries.size(); e++) {
      for (int32_t i = 0; i < entries[e].queries; i++) {
        token_ids.push_back(static_cast<int32_t>(random() % vocabulary));
        positions.push_back(entries[e].context - entries[e].queries + i);
        entry_of_token.push_back(static_cast<int32_t>(e));
      }
      query_starts.push_back(static_cast<int32_t>(token_ids.size()));
      context_lengths.push_back(entries[e].context);
      for (int32_t b = 0; b < (entries[e].context + block_size - 1) / block_size; b++) {
        block_tables.push_back(ids[next++]);
      }
      table_starts.push_back(static_cast<int64_t>(block_tables.size()));
      sample_rows.push_back(query_starts.back() - 1);
    }
  }

  StepBatch view() const {
    StepBatch batch;
    batch.entries = static_cast<int32_t>(context_lengths.size());
    batch.tokens = static_cast<int32_t>(token_ids.size());
    batch.samples = static_cast<int32_t>(sample_rows.size());
    batch.longest_context = *std::max_element(context_lengths.begin(), context_lengths.end());
    batch.token_ids = token_ids.data();
    batch.positions = positions.data();
    batch.entry_of_token = entry_of_token.data();
    batch.query_starts = query_starts.data();
    batch.context_lengths = context_lengths.data();
    batch.block_tables = block_tables.data();
    batch.table_starts = table_starts.data();
    batch.sample_rows = sample_rows.data();
    return batch;
  }
};

}  // namespace weir::test
