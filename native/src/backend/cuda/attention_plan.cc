#include "backend/cuda/attention_plan.h"

#include <algorithm>

namespace weir::cuda {
namespace {

constexpr int32_t kMostChunks = 64;
// Classes of length by which the last chunks of the rows are ordered.
constexpr int32_t kTailClasses = 8;

constexpr int64_t ceil_divide(int64_t x, int64_t by) { return (x + by - 1) / by; }
constexpr int64_t round_up(int64_t x, int64_t multiple) { return ceil_divide(x, multiple) * multiple; }

static_assert(sizeof(AttentionPlanHeader) == 16 && sizeof(DecodeWork) == 32 && sizeof(PrefillWork) == 32,
              "read by kernels in pieces of 16 bytes");

bool is_padding(const StepBatch& batch, int32_t entry) {
  return batch.positions[batch.query_starts[entry]] < 0;
}

}  // namespace

int32_t AttentionLimits::chunk_tokens() const {
  const int64_t most = int64_t{kChunkGranularity} * kMostChunks;
  return static_cast<int32_t>(kChunkGranularity * std::max<int64_t>(1, ceil_divide(context_length, most)));
}

int32_t AttentionLimits::max_chunks() const {
  return static_cast<int32_t>(ceil_divide(context_length, chunk_tokens()));
}

int32_t AttentionLimits::decode_rows() const { return std::min(max_entries, max_tokens); }

int64_t AttentionLimits::plan_bytes() const {
  const int64_t group = heads / kv_heads;
  const int64_t decodes = int64_t{decode_rows()} * max_chunks();
  // Every entry has at most one piece that is not full.
  const int64_t prefills = max_tokens * group / kPrefillRows + decode_rows();
  return static_cast<int64_t>(sizeof(AttentionPlanHeader) + decodes * sizeof(DecodeWork) +
                              prefills * sizeof(PrefillWork));
}

int64_t AttentionLimits::partial_sums_offset() const {
  return round_up(int64_t{decode_rows()} * heads * int64_t{sizeof(int32_t)}, 128);
}

int64_t AttentionLimits::partial_softmax_offset() const {
  const int64_t partials = max_chunks() > 1 ? int64_t{decode_rows()} * max_chunks() * heads : 0;
  return round_up(partial_sums_offset() + partials * head_size * int64_t{sizeof(float)}, 128);
}

int64_t AttentionLimits::scratch_bytes() const {
  const int64_t partials = max_chunks() > 1 ? int64_t{decode_rows()} * max_chunks() * heads : 0;
  return partial_softmax_offset() + partials * 2 * int64_t{sizeof(float)};
}

AttentionPlanSize write_attention_plan(const StepBatch& batch, const AttentionLimits& limits,
                                       std::byte* lists) {
  const int32_t chunk_tokens = limits.chunk_tokens();
  auto* const header = reinterpret_cast<AttentionPlanHeader*>(lists);
  auto* const decodes = reinterpret_cast<DecodeWork*>(lists + sizeof(AttentionPlanHeader));
  DecodeWork* decode = decodes;

  const auto is_decode = [&](int32_t entry) {
    return batch.query_starts[entry + 1] - batch.query_starts[entry] == 1 && !is_padding(batch, entry);
  };
  const auto add_chunk = [&](int32_t entry, int32_t slot, int32_t chunk) {
    const int32_t context = batch.context_lengths[entry];
    const int32_t first = chunk * chunk_tokens;
    *decode++ = {batch.query_starts[entry],
                 first,
                 std::min(chunk_tokens, context - first),
                 chunk,
                 static_cast<int32_t>(ceil_divide(context, chunk_tokens)),
                 slot,
                 batch.table_starts[entry]};
  };
  // Blocks of threads take the list in turns. Full chunks come first and what is left of the rows comes last,
  // the longest first, so that all blocks end at about the same time.
  int32_t slot = 0;
  for (int32_t entry = 0; entry < batch.entries; entry++) {
    if (!is_decode(entry)) continue;
    const int32_t full = batch.context_lengths[entry] / chunk_tokens;
    for (int32_t chunk = 0; chunk < full; chunk++) add_chunk(entry, slot, chunk);
    slot++;
  }
  const auto tail_class = [&](int32_t entry) {
    const int64_t tail = batch.context_lengths[entry] % chunk_tokens;
    return static_cast<int32_t>(ceil_divide(tail * kTailClasses, chunk_tokens));
  };
  for (int32_t length = kTailClasses; length > 0; length--) {
    slot = 0;
    for (int32_t entry = 0; entry < batch.entries; entry++) {
      if (!is_decode(entry)) continue;
      if (tail_class(entry) == length) add_chunk(entry, slot, batch.context_lengths[entry] / chunk_tokens);
      slot++;
    }
  }

  auto* const prefills = reinterpret_cast<PrefillWork*>(decode);
  PrefillWork* prefill = prefills;
  const int32_t group = limits.heads / limits.kv_heads;
  for (int32_t entry = 0; entry < batch.entries; entry++) {
    const int32_t row = batch.query_starts[entry];
    const int32_t queries = batch.query_starts[entry + 1] - row;
    if (queries <= 1) continue;
    for (int32_t packed = 0; packed < queries * group; packed += kPrefillRows) {
      *prefill++ = {row, queries, batch.context_lengths[entry] - queries, packed, batch.table_starts[entry],
                    0};
    }
  }
  // The hardware hands out blocks in order: the ones that take longest first.
  std::sort(prefills, prefill, [group](const PrefillWork& a, const PrefillWork& b) {
    const int32_t visible_a = visible_tokens(a, group);
    const int32_t visible_b = visible_tokens(b, group);
    if (visible_a != visible_b) return visible_a > visible_b;
    return a.row != b.row ? a.row < b.row : a.packed_row < b.packed_row;
  });

  AttentionPlanSize size;
  size.decode_work = static_cast<int32_t>(decode - decodes);
  size.prefill_work = static_cast<int32_t>(prefill - prefills);
  size.bytes = reinterpret_cast<std::byte*>(prefill) - lists;
  *header = {size.decode_work, size.prefill_work, {0, 0}};
  return size;
}

}  // namespace weir::cuda
