// Times operators of a context (backend.h), which has a stream of its own that no event can be put on: many
// calls between two readings of the host's clock.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "gpu.h"

namespace weir::benchmark {

// The batch of one step, with arrays of its own.
class BenchmarkBatch {
 public:
  // Sequences of these lengths, each with its last `queries` tokens in the step. Block tables are in random
  // order and share no blocks. With `samples` a batch of one token for each sequence is one of decodes, which
  // a context may have recorded.
  BenchmarkBatch(const std::vector<int64_t>& contexts, int64_t queries, int32_t block_size, bool samples);
  BenchmarkBatch(const BenchmarkBatch&) = delete;
  BenchmarkBatch& operator=(const BenchmarkBatch&) = delete;

  const StepBatch& view() const { return batch_; }
  int64_t blocks() const { return static_cast<int64_t>(block_tables_.size()); }

 private:
  std::vector<int32_t> token_ids_, positions_, entry_of_token_, query_starts_{0}, context_lengths_,
      block_tables_, sample_rows_;
  std::vector<int64_t> table_starts_{0};
  StepBatch batch_;
};

// Activations at random.
class BenchmarkRows {
 public:
  BenchmarkRows(Backend& backend, int64_t rows, int64_t columns, int32_t element_bytes, Filling filling);
  // The first `rows` of them.
  Activations first(int64_t rows) const { return {memory_->data(), rows, columns_, element_bytes_}; }

 private:
  std::unique_ptr<Memory> memory_;
  int64_t columns_;
  int32_t element_bytes_;
};

// Calls the operator with the batch that it shall run on and the number of the call.
using OperatorCall = std::function<void(const StepBatch&, int64_t)>;

struct ContextTiming {
  int samples = 15;
  double least_seconds = 0.02;  // of each sample
  int64_t most_calls = 1000;    // in each sample
  int64_t rotation = 1;         // calls after which the same data comes again
  // Records the calls as the context records decode steps, for batches of decodes, so that what launching
  // costs the host is not counted.
  bool recorded = false;
};

// Samples of the seconds that one call takes. `pool` may be null.
std::vector<double> sample_calls(Context& context, const StepBatch& batch, KvPool* pool,
                                 const ContextTiming& timing, const OperatorCall& call);

// As many equal pieces of so many bytes as make cycling through them find none in the L2 cache.
int64_t rotation_for(double bytes);

}  // namespace weir::benchmark
