// What a step tells the device about its batch, and where it lies there.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "backend/backend.h"
#include "backend/cuda/attention_plan.h"
#include "backend/cuda/memory.h"
#include "backend/cuda/operators.h"

namespace weir::cuda {

// Offsets in bytes of the arrays for batches of these sizes, in host memory as on the device. They depend on
// nothing else, so that a recorded graph finds every array where it was when it was recorded. First comes
// what has always the same length, so that few copies take it across.
struct MetadataLayout {
  MetadataLayout(int32_t entries, int32_t tokens, int32_t samples, int64_t plan_bytes);

  int64_t token_ids, positions, entry_of_token, query_starts, context_lengths, sample_rows, table_starts;
  int64_t plan;
  int64_t block_tables;  // the last: as long as the batch has blocks
};

// Two copies of the arrays of one step, pinned and on the device. Blocks may be shared, so the block tables
// of a batch may be longer than the pool, up to every entry having the longest context.
class StepMetadata {
 public:
  StepMetadata(const ContextLimits& limits, const AttentionLimits& attention);

  // Of each of the copies.
  static int64_t bytes(const ContextLimits& limits, const AttentionLimits& attention);

  // Describes `batch`, padded to `entries` entries of one token (or not, if it has so many), and begins to
  // copy it. The previous copy must be done.
  void upload(const StepBatch& batch, int32_t entries, cudaStream_t stream);

  const DeviceBatch& batch() const { return batch_; }
  const AttentionPlan& plan() const { return plan_; }

 private:
  AttentionLimits attention_;
  PinnedMemory host_;
  DeviceMemory device_;
  DeviceBatch batch_;
  AttentionPlan plan_;
};

}  // namespace weir::cuda
