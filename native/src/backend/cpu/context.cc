#include "backend/cpu/context.h"

#include <atomic>

namespace weir::cpu {

CpuContext::CpuContext(std::shared_ptr<ThreadPool> threads, int32_t vocabulary_size)
    : threads_(std::move(threads)),
      vocabulary_size_(vocabulary_size),
      logits_(int64_t{threads_->threads()} * vocabulary_size),
      weights_(int64_t{threads_->threads()} * vocabulary_size),
      candidates_(int64_t{threads_->threads()} * vocabulary_size),
      seen_(int64_t{threads_->threads()} * ((vocabulary_size + 63) / 64)) {}

SampleScratch CpuContext::scratch_of(int thread) {
  return {logits_.data() + thread * vocabulary_size_, weights_.data() + thread * vocabulary_size_,
          candidates_.data() + thread * vocabulary_size_,
          seen_.data() + thread * ((vocabulary_size_ + 63) / 64)};
}

void CpuContext::embed(const StepBatch& batch, const Weight& table, Activations out) {
  const CpuWeight& weight = static_cast<const CpuWeight&>(table);
  for (int32_t t = 0; t < batch.tokens; t++) {
    weight.read_row(batch.token_ids[t], static_cast<float*>(out.data) + t * out.columns);
  }
}

int64_t CpuContext::sample(Activations logits, std::span<const SampleRequest> requests,
                           std::span<const SampleResult> results) {
  const int64_t count = static_cast<int64_t>(requests.size());
  std::atomic<int64_t> not_finite{count};
  threads().run_if(count * logits.columns > parallel_work.logits, count, [&](int64_t i, int thread) {
    if (!sample_row(static_cast<const float*>(logits.data) + i * logits.columns,
                    static_cast<int32_t>(logits.columns), requests[i], results[i], scratch_of(thread))) {
      int64_t before = not_finite.load();
      while (i < before && !not_finite.compare_exchange_weak(before, i)) {
      }
    }
  });
  return not_finite < count ? not_finite.load() : -1;
}

void CpuContext::read_row(Activations x, int64_t row, float* out) {
  std::copy_n(static_cast<const float*>(x.data) + row * x.columns, x.columns, out);
}

}  // namespace weir::cpu
