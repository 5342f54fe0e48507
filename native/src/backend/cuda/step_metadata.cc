#include "backend/cuda/step_metadata.h"

#include <algorithm>
#include <cstddef>

#include "backend/cuda/error.h"

namespace weir::cuda {
namespace {

// Every array begins where any vector load may.
constexpr int64_t kAlignment = 256;

int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

int64_t blocks_of_context(const ContextLimits& limits) {
  return (int64_t{limits.context_length} + limits.block_size - 1) / limits.block_size;
}

MetadataLayout largest_layout(const ContextLimits& limits, const AttentionLimits& attention) {
  return {limits.max_entries, limits.max_tokens, limits.max_samples, attention.plan_bytes()};
}

}  // namespace

MetadataLayout::MetadataLayout(int32_t entries, int32_t tokens, int32_t samples, int64_t plan_bytes) {
  int64_t end = 0;
  const auto take = [&](int64_t bytes) {
    const int64_t begin = end;
    end = aligned(end + bytes);
    return begin;
  };
  token_ids = take(int64_t{tokens} * 4);
  positions = take(int64_t{tokens} * 4);
  entry_of_token = take(int64_t{tokens} * 4);
  query_starts = take((int64_t{entries} + 1) * 4);
  context_lengths = take(int64_t{entries} * 4);
  sample_rows = take(int64_t{samples} * 4);
  table_starts = take((int64_t{entries} + 1) * 8);
  plan = take(plan_bytes);
  block_tables = end;
}

int64_t StepMetadata::bytes(const ContextLimits& limits, const AttentionLimits& attention) {
  return largest_layout(limits, attention).block_tables +
         aligned(int64_t{limits.max_entries} * blocks_of_context(limits) * 4);
}

StepMetadata::StepMetadata(const ContextLimits& limits, const AttentionLimits& attention)
    : attention_(attention),
      host_(bytes(limits, attention), "the tables of a step (weir_step_options.max_entries and .max_tokens)"),
      device_(bytes(limits, attention),
              "the tables of a step (weir_step_options.max_entries and .max_tokens)") {}

void StepMetadata::upload(const StepBatch& batch, int32_t entries, cudaStream_t stream) {
  const int32_t padding = entries - batch.entries;
  const int32_t tokens = batch.tokens + padding;
  const int32_t samples = batch.samples + (batch.samples == batch.entries ? padding : 0);
  AttentionLimits sizes = attention_;
  sizes.max_entries = entries;
  sizes.max_tokens = tokens;
  const MetadataLayout layout(entries, tokens, samples, sizes.plan_bytes());

  std::byte* const host = static_cast<std::byte*>(host_.data());
  const auto write = [&](int64_t offset, const auto* values, int64_t count, int64_t padded, auto filler) {
    auto* const out =
        reinterpret_cast<std::remove_const_t<std::remove_pointer_t<decltype(values)>>*>(host + offset);
    if (count > 0) std::copy_n(values, count, out);
    std::fill(out + count, out + padded, filler);
  };
  write(layout.token_ids, batch.token_ids, batch.tokens, tokens, 0);
  write(layout.positions, batch.positions, batch.tokens, tokens, -1);
  write(layout.entry_of_token, batch.entry_of_token, batch.tokens, tokens, -1);
  // Padded entries have a row each, and no context.
  auto* const query_starts = reinterpret_cast<int32_t*>(host + layout.query_starts);
  query_starts[0] = 0;
  if (batch.query_starts != nullptr) std::copy_n(batch.query_starts, batch.entries + 1, query_starts);
  for (int32_t i = batch.entries; i < entries; i++) query_starts[i + 1] = query_starts[i] + 1;
  write(layout.context_lengths, batch.context_lengths, batch.context_lengths != nullptr ? batch.entries : 0,
        entries, 0);
  write(layout.sample_rows, batch.sample_rows, batch.samples, samples, 0);
  const int64_t blocks = batch.table_starts != nullptr ? batch.table_starts[batch.entries] : 0;
  write(layout.table_starts, batch.table_starts, batch.table_starts != nullptr ? batch.entries + 1 : 0,
        entries + 1, blocks);
  if (blocks > 0)
    std::copy_n(batch.block_tables, blocks, reinterpret_cast<int32_t*>(host + layout.block_tables));
  const AttentionPlanSize plan = write_attention_plan(batch, sizes, host + layout.plan);

  std::byte* const device = static_cast<std::byte*>(device_.data());
  const auto copy = [&](int64_t begin, int64_t end) {
    check(cudaMemcpyAsync(device + begin, host + begin, end - begin, cudaMemcpyHostToDevice, stream),
          "copying the tables of a step");
  };
  const int64_t plan_end = layout.plan + plan.bytes;
  const int64_t end = layout.block_tables + blocks * 4;
  // A second copy costs about as much as these bytes.
  constexpr int64_t kGap = 64 << 10;
  if (layout.block_tables - plan_end <= kGap) {
    copy(0, end);
  } else {
    copy(0, plan_end);
    if (blocks > 0) copy(layout.block_tables, end);
  }

  const auto at = [&](int64_t offset) { return reinterpret_cast<const int32_t*>(device + offset); };
  batch_.token_ids = at(layout.token_ids);
  batch_.positions = at(layout.positions);
  batch_.entry_of_token = at(layout.entry_of_token);
  batch_.query_starts = at(layout.query_starts);
  batch_.context_lengths = at(layout.context_lengths);
  batch_.sample_rows = at(layout.sample_rows);
  batch_.block_tables = at(layout.block_tables);
  batch_.table_starts = reinterpret_cast<const int64_t*>(device + layout.table_starts);
  plan_.lists = device + layout.plan;
  plan_.limits = attention_;
  plan_.decodes = plan.decode_work > 0 || plan.prefill_work == 0;
  plan_.prefill_work = plan.prefill_work;
}

}  // namespace weir::cuda
