#include "context_timer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <random>

namespace weir::benchmark {

BenchmarkBatch::BenchmarkBatch(const std::vector<int64_t>& contexts, int64_t queries, int32_t block_size,
                               bool samples) {
  std::mt19937 random(2);
  for (const int64_t context : contexts) {
    const auto entry = static_cast<int32_t>(context_lengths_.size());
    for (int64_t i = 0; i < queries; i++) {
      token_ids_.push_back(0);
      positions_.push_back(static_cast<int32_t>(context - queries + i));
      entry_of_token_.push_back(entry);
    }
    query_starts_.push_back(static_cast<int32_t>(token_ids_.size()));
    context_lengths_.push_back(static_cast<int32_t>(context));
    const int64_t blocks = (context + block_size - 1) / block_size;
    block_tables_.resize(block_tables_.size() + blocks);
    table_starts_.push_back(static_cast<int64_t>(block_tables_.size()));
    if (samples) sample_rows_.push_back(query_starts_.back() - 1);
  }
  std::iota(block_tables_.begin(), block_tables_.end(), 0);
  std::shuffle(block_tables_.begin(), block_tables_.end(), random);

  batch_.entries = static_cast<int32_t>(context_lengths_.size());
  batch_.tokens = static_cast<int32_t>(token_ids_.size());
  batch_.samples = static_cast<int32_t>(sample_rows_.size());
  batch_.longest_context = *std::max_element(context_lengths_.begin(), context_lengths_.end());
  batch_.token_ids = token_ids_.data();
  batch_.positions = positions_.data();
  batch_.entry_of_token = entry_of_token_.data();
  batch_.query_starts = query_starts_.data();
  batch_.context_lengths = context_lengths_.data();
  batch_.block_tables = block_tables_.data();
  batch_.table_starts = table_starts_.data();
  batch_.sample_rows = sample_rows_.data();
}

BenchmarkRows::BenchmarkRows(Backend& backend, int64_t rows, int64_t columns, int32_t element_bytes,
                             Filling filling)
    : memory_(backend.allocate(backend.padded_rows(rows) * columns * element_bytes,
                               "activations of the benchmark")),
      columns_(columns),
      element_bytes_(element_bytes) {
  const TimedStream stream;
  fill(stream.get(), filling, memory_->data(), static_cast<int64_t>(memory_->bytes()), 1);
  stream.synchronize();
}

std::vector<double> sample_calls(Context& context, const StepBatch& batch, KvPool* pool,
                                 const ContextTiming& timing, const OperatorCall& call) {
  int64_t calls = timing.rotation;
  const std::function<void(const StepBatch&)> forward = [&](const StepBatch& padded) {
    for (int64_t i = 0; i < calls; i++) call(padded, i % timing.rotation);
  };
  const auto seconds = [&] {
    const auto begin = std::chrono::steady_clock::now();
    context.run(batch, pool, forward);
    // Of no rows: waits for the stream.
    context.sample({}, {}, {});
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  seconds();
  const double once = seconds() / static_cast<double>(calls);
  const auto wanted = static_cast<int64_t>(std::ceil(timing.least_seconds / std::max(once, 1e-7)));
  calls = std::clamp(wanted, int64_t{1}, std::max(timing.most_calls, timing.rotation));
  // Whole rounds, so that every piece of data counts alike.
  calls = (calls + timing.rotation - 1) / timing.rotation * timing.rotation;
  if (timing.recorded) context.prepare(forward);
  seconds();
  std::vector<double> taken;
  for (int i = 0; i < timing.samples; i++) taken.push_back(seconds() / static_cast<double>(calls));
  return taken;
}

int64_t rotation_for(double bytes) {
  return std::max<int64_t>(
      1, static_cast<int64_t>(std::ceil(4 * static_cast<double>(second_level_cache_bytes()) / bytes)));
}

}  // namespace weir::benchmark
