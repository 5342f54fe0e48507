// How the attention of a step is cut into pieces of work. Host code and index arithmetic only.
//
// A decode (an entry of one token) reads its context in chunks of AttentionLimits::chunk_tokens(), a number
// that depends on the model alone: whatever else is in the batch, the numbers of a row are added up in the
// same order. An entry of more tokens is cut into tiles of kPrefillRows packed rows: the rows of a KV head
// are its query heads of the first token, then those of the second, and so on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backend/backend.h"
#include "core/host_device.h"

namespace weir::cuda {

// Rows (tokens times query heads of a KV head) of one piece of a prefill.
constexpr int32_t kPrefillRows = 64;
// Tokens of a chunk are a multiple of this.
constexpr int32_t kChunkGranularity = 128;

// The largest step that plans are made for.
struct AttentionLimits {
  int32_t max_entries = 0;
  int32_t max_tokens = 0;
  int32_t context_length = 0;
  int32_t heads = 0;
  int32_t kv_heads = 0;
  int32_t head_size = 0;
  int32_t multiprocessors = 0;

  // Tokens that one block of threads takes of a context: few, so that a single sequence keeps many
  // multiprocessors busy, but not so few that a row has more than 64 partial results to merge.
  int32_t chunk_tokens() const;
  int32_t max_chunks() const;   // of one row
  int32_t decode_rows() const;  // most decodes in one step
  // Bytes of the work lists, on the host (pinned) and on the device.
  int64_t plan_bytes() const;
  // Bytes of device memory for partial results. They must be zero before the first step that uses them.
  int64_t scratch_bytes() const;
  // Where the partial results begin in the scratch memory, after the counters of finished chunks
  // [decode_rows][heads]: sums [decode_rows][max_chunks][heads][head_size] of floats.
  int64_t partial_sums_offset() const;
  // Largest score and sum of weights: [decode_rows][max_chunks][heads][2] of floats.
  int64_t partial_softmax_offset() const;
};

// The work lists as they lie in memory: a header, the decode work, the prefill work.
struct AttentionPlanHeader {
  int32_t decode_work;
  int32_t prefill_work;
  int32_t reserved[2];
};

// One chunk of the context of one row.
struct DecodeWork {
  int32_t row;     // of qkv and of the result
  int32_t first;   // token of the context that the chunk begins with
  int32_t count;   // tokens
  int32_t chunk;   // which chunk of the row it is
  int32_t chunks;  // of the row
  int32_t slot;    // which counters and partial results the row uses, if it has several chunks
  int64_t table;   // where the block table of the sequence begins in DeviceBatch::block_tables
};

// kPrefillRows packed rows of one entry, or what is left of them.
struct PrefillWork {
  int32_t row;         // of qkv and of the result: first of the entry
  int32_t queries;     // tokens of the entry in this step
  int32_t position;    // of the first of them
  int32_t packed_row;  // first of this piece
  int64_t table;       // as in DecodeWork
  int64_t reserved;
};

WEIR_HOST_DEVICE inline const DecodeWork* decode_work(const void* lists) {
  return reinterpret_cast<const DecodeWork*>(static_cast<const char*>(lists) + sizeof(AttentionPlanHeader));
}
WEIR_HOST_DEVICE inline const PrefillWork* prefill_work(const void* lists) {
  return reinterpret_cast<const PrefillWork*>(decode_work(lists) +
                                              static_cast<const AttentionPlanHeader*>(lists)->decode_work);
}

// How many tokens of the context a piece of prefill work reads: those up to its last query.
WEIR_HOST_DEVICE inline int32_t visible_tokens(const PrefillWork& work, int32_t group) {
  const int32_t last = (work.packed_row + kPrefillRows - 1) / group;
  return work.position + (last < work.queries ? last + 1 : work.queries);
}

// Which block of a sequence a token is in, without a division: exact for positions below 2^22 and block
// sizes up to 1024.
class BlockDivider {
 public:
  BlockDivider() = default;
  explicit BlockDivider(int32_t block_size)
      : block_size_(block_size), factor_(((uint64_t{1} << 32) + block_size - 1) / block_size) {}
  WEIR_HOST_DEVICE int32_t block(int32_t position) const {
    return static_cast<int32_t>((static_cast<uint64_t>(position) * factor_) >> 32);
  }
  WEIR_HOST_DEVICE int32_t slot(int32_t position, int32_t block) const {
    return position - block * block_size_;
  }

 private:
  int32_t block_size_ = 0;
  uint64_t factor_ = 0;
};

// How the kernels for one model are launched on one device: prepare_attention() in operators.h.
struct AttentionLaunch {
  int32_t decode_blocks = 0;  // as many as are resident at once
  bool bulk_copies = false;   // of keys and values into shared memory (compute capability 9.0)
};

// Where the work lists of one step lie on the device. The same for every step of a context with the same
// padded sizes and no prefill; a step with prefill work is launched, not replayed.
struct AttentionPlan {
  const void* lists = nullptr;  // as write_attention_plan wrote them
  bool decodes = true;          // whether there may be decode work; a recorded step must say so
  int32_t prefill_work = 0;     // as write_attention_plan returned it
  AttentionLimits limits;       // of the context: they say where partial results lie in the scratch memory
};

struct AttentionPlanSize {
  int64_t bytes = 0;
  int32_t decode_work = 0;
  int32_t prefill_work = 0;
};

// Writes the work lists of `batch` to `lists`, which is aligned to 16 bytes and has limits.plan_bytes(), of
// limits that may be lowered to the entries and tokens of this step.
// Padded entries get no work. How a row is cut does not depend on the other rows. Returns what was written.
AttentionPlanSize write_attention_plan(const StepBatch& batch, const AttentionLimits& limits,
                                       std::byte* lists);

}  // namespace weir::cuda
