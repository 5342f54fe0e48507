// How the attention of a step is cut into pieces of work. Host code and index arithmetic only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/backend.h"

namespace weir::cuda {

// The largest step that plans are made for.
struct AttentionLimits {
  int32_t max_entries = 0;
  int32_t max_tokens = 0;
  int32_t context_length = 0;
  int32_t heads = 0;
  int32_t kv_heads = 0;
  int32_t head_size = 0;
  int32_t multiprocessors = 0;

  // Bytes of the work lists, on the host (pinned) and on the device.
  int64_t plan_bytes() const;
  // Bytes of device memory for partial results.
  int64_t scratch_bytes() const;
};

// Where the work lists of one step lie on the device. The same for every step of a context with the same
// padded sizes.
struct AttentionPlan {
  const void* lists = nullptr;  // as write_attention_plan wrote them
  bool prefill = false;         // whether there are entries of more than one token
  AttentionLimits limits;
};

// Writes the work lists of `batch` to `lists`, which has limits.plan_bytes(). Padded entries get no work. How
// a row is cut does not depend on the other rows. Returns the bytes that were written.
int64_t write_attention_plan(const StepBatch& batch, const AttentionLimits& limits, std::byte* lists);

}  // namespace weir::cuda
