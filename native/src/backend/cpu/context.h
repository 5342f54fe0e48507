// The contexts of the CPU backends, one for each kind of arithmetic.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/operators.h"
#include "backend/cpu/thread_pool.h"
#include "backend/cpu/weights.h"

namespace weir::cpu {

// What all have in common: embedding, gathering and sampling.
class CpuContext : public Context {
 public:
  CpuContext(std::shared_ptr<ThreadPool> threads, int32_t vocabulary_size);

  void embed(const StepBatch& batch, const Weight& table, Activations out) final;
  int64_t sample(Activations logits, std::span<const SampleRequest> requests,
                 std::span<const SampleResult> results) final;
  void read_row(Activations x, int64_t row, float* out) final;

 protected:
  ThreadPool& threads() { return *threads_; }

 private:
  SampleScratch scratch_of(int thread);

  std::shared_ptr<ThreadPool> threads_;
  // Of the sampler, for all threads one after another.
  int64_t vocabulary_size_;
  std::vector<float> logits_;
  std::vector<float> weights_;
  std::vector<int32_t> candidates_;
  std::vector<uint64_t> seen_;
};

// The data of what is kept in 32-bit floats.
inline const float* floats(const Weight& weight) { return static_cast<const FloatWeight&>(weight).data(); }
inline float* floats(const Activations& x) { return static_cast<float*>(x.data); }
inline float* floats(const KvPool& pool) { return static_cast<float*>(pool.data()); }

template <typename T>
void gather_rows(Activations x, const int32_t* rows, Activations out) {
  for (int64_t i = 0; i < out.rows; i++) {
    std::copy_n(static_cast<const T*>(x.data) + rows[i] * out.columns, out.columns,
                static_cast<T*>(out.data) + i * out.columns);
  }
}

// Plain single-threaded loops in 32-bit floats.
std::unique_ptr<Context> make_reference_context(std::shared_ptr<ThreadPool> threads, int32_t vocabulary_size);
// 32-bit floats on all threads. Without `onednn` it multiplies with its own loops.
std::unique_ptr<Context> make_float_context(const OneDnnApi* onednn, std::shared_ptr<ThreadPool> threads,
                                            int32_t vocabulary_size);
// bfloat16, for processors of avx512/target.h. Without `onednn` large batches take the kernels of small ones.
std::unique_ptr<Context> make_bfloat16_context(const OneDnnApi* onednn, std::shared_ptr<ThreadPool> threads,
                                               int32_t vocabulary_size);
// 8-bit integers for multiplications by weights, else as bfloat16.
std::unique_ptr<Context> make_int8_context(const OneDnnApi* onednn, std::shared_ptr<ThreadPool> threads,
                                           int32_t vocabulary_size);

}  // namespace weir::cpu
