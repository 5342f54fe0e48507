#include "backend/cuda/attention_plan.h"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

#include "operator_support.h"

using namespace weir;
using namespace weir::cuda;
using weir::test::RandomBatch;

namespace {

// The work lists of a batch, in memory of exactly the size that the limits ask for.
struct Planned {
  Planned(const StepBatch& batch, const AttentionLimits& limits)
      : lists((limits.plan_bytes() + 15) / 16 * 2), size(write_attention_plan(batch, limits, bytes())) {}
  std::byte* bytes() { return reinterpret_cast<std::byte*>(lists.data()); }
  std::span<const DecodeWork> decodes() const {
    return {decode_work(lists.data()), static_cast<size_t>(size.decode_work)};
  }
  std::span<const PrefillWork> prefills() const {
    return {prefill_work(lists.data()), static_cast<size_t>(size.prefill_work)};
  }

  std::vector<uint64_t> lists;
  AttentionPlanSize size;
};

AttentionLimits limits_for(const StepBatch& batch, int32_t context_length, int32_t heads, int32_t kv_heads) {
  AttentionLimits limits;
  limits.max_entries = batch.entries;
  limits.max_tokens = batch.tokens;
  limits.context_length = context_length;
  limits.heads = heads;
  limits.kv_heads = kv_heads;
  limits.head_size = 128;
  limits.multiprocessors = 132;
  return limits;
}

std::vector<RandomBatch::Entry> random_entries(std::mt19937& random, int32_t count, int32_t longest) {
  std::vector<RandomBatch::Entry> entries;
  for (int32_t e = 0; e < count; e++) {
    const int32_t context = 1 + static_cast<int32_t>(random() % longest);
    entries.push_back({context, random() % 3 == 0 ? 1 + static_cast<int32_t>(random() % context) : 1});
  }
  return entries;
}

}  // namespace

TEST_CASE("attention plan: every token of every row's context is in exactly one piece of work") {
  std::mt19937 random(3);
  for (int round = 0; round < 40; round++) {
    const int32_t longest = round % 2 == 0 ? 700 : 20000;
    const int32_t kv_heads = 4;
    const int32_t group = 1 + static_cast<int32_t>(random() % 9);
    const auto entries = random_entries(random, 1 + static_cast<int32_t>(random() % 30), longest);
    const RandomBatch batch_data(entries, 16, 100, random());
    const StepBatch batch = batch_data.view();
    const AttentionLimits limits = limits_for(batch, longest, group * kv_heads, kv_heads);
    const Planned plan(batch, limits);
    REQUIRE(plan.size.bytes <= limits.plan_bytes());
    REQUIRE(limits.max_chunks() <= 64);

    std::map<int32_t, std::set<int32_t>> covered;  // by row
    std::set<std::pair<int32_t, int32_t>> used;    // slot and chunk
    for (const DecodeWork& work : plan.decodes()) {
      const int32_t entry = batch.entry_of_token[work.row];
      REQUIRE(batch.query_starts[entry + 1] - batch.query_starts[entry] == 1);
      REQUIRE(work.table == batch.table_starts[entry]);
      REQUIRE(work.first == work.chunk * limits.chunk_tokens());
      REQUIRE(work.count >= 1);
      REQUIRE(work.count <= limits.chunk_tokens());
      REQUIRE(work.chunk < work.chunks);
      REQUIRE(work.chunks <= limits.max_chunks());
      REQUIRE(work.slot < limits.decode_rows());
      REQUIRE(used.insert({work.slot, work.chunk}).second);
      bool fresh = true;
      for (int32_t t = work.first; t < work.first + work.count; t++)
        fresh &= covered[work.row].insert(t).second;
      REQUIRE(fresh);
    }
    std::map<int32_t, std::set<int32_t>> packed;  // by first row of the entry
    for (const PrefillWork& work : plan.prefills()) {
      const int32_t entry = batch.entry_of_token[work.row];
      REQUIRE(work.row == batch.query_starts[entry]);
      REQUIRE(work.queries == batch.query_starts[entry + 1] - work.row);
      REQUIRE(work.position == batch.positions[work.row]);
      REQUIRE(work.table == batch.table_starts[entry]);
      const int32_t end = std::min(work.packed_row + kPrefillRows, work.queries * group);
      REQUIRE(visible_tokens(work, group) == batch.positions[work.row + (end - 1) / group] + 1);
      bool fresh = true;
      for (int32_t r = work.packed_row; r < end; r++) fresh &= packed[work.row].insert(r).second;
      REQUIRE(fresh);
    }
    for (int32_t e = 0; e < batch.entries; e++) {
      const int32_t row = batch.query_starts[e];
      const int32_t queries = batch.query_starts[e + 1] - row;
      if (queries == 1) {
        REQUIRE(covered[row].size() == static_cast<size_t>(batch.context_lengths[e]));
        REQUIRE(*covered[row].rbegin() == batch.context_lengths[e] - 1);
        REQUIRE(packed.count(row) == 0);
      } else {
        REQUIRE(packed[row].size() == static_cast<size_t>(queries * group));
        REQUIRE(covered.count(row) == 0);
      }
    }
  }
}

TEST_CASE("attention plan: how a row is cut does not depend on the other rows") {
  std::mt19937 random(4);
  const auto entries = random_entries(random, 20, 3000);
  const RandomBatch together_data(entries, 16, 100, 5);
  const StepBatch together = together_data.view();
  const Planned plan(together, limits_for(together, 4096, 32, 32));
  for (int32_t e = 0; e < together.entries; e++) {
    const RandomBatch alone_data(std::span(&entries[e], 1), 16, 100, 5);
    const StepBatch alone = alone_data.view();
    const Planned own(alone, limits_for(alone, 4096, 32, 32));
    std::set<std::pair<int32_t, int32_t>> expected, found;
    for (const DecodeWork& work : own.decodes()) expected.insert({work.first, work.count});
    for (const DecodeWork& work : plan.decodes()) {
      if (together.entry_of_token[work.row] == e) found.insert({work.first, work.count});
    }
    for (const PrefillWork& work : own.prefills()) expected.insert({-1 - work.packed_row, work.position});
    for (const PrefillWork& work : plan.prefills()) {
      if (together.entry_of_token[work.row] == e) found.insert({-1 - work.packed_row, work.position});
    }
    CHECK(found == expected);
  }
}

TEST_CASE("attention plan: work is ordered from long to short") {
  std::mt19937 random(6);
  const auto entries = random_entries(random, 60, 2000);
  const RandomBatch batch_data(entries, 16, 100, 7);
  const StepBatch batch = batch_data.view();
  const AttentionLimits limits = limits_for(batch, 4096, 32, 8);
  const Planned plan(batch, limits);
  for (size_t i = 1; i < plan.decodes().size(); i++) {
    // Up to the width of a class of lengths.
    CHECK(plan.decodes()[i].count <= plan.decodes()[i - 1].count + limits.chunk_tokens() / 8);
  }
  for (size_t i = 1; i < plan.prefills().size(); i++) {
    CHECK(visible_tokens(plan.prefills()[i], 4) <= visible_tokens(plan.prefills()[i - 1], 4));
  }
}

TEST_CASE("attention plan: padded entries get no work") {
  const RandomBatch batch_data(std::vector<RandomBatch::Entry>{{300, 1}, {5, 1}}, 16, 100, 8);
  std::vector<int32_t> positions = batch_data.positions;
  std::vector<int32_t> query_starts = batch_data.query_starts;
  std::vector<int32_t> context_lengths = batch_data.context_lengths;
  std::vector<int64_t> table_starts = batch_data.table_starts;
  for (int32_t e = 2; e < 8; e++) {
    positions.push_back(-1);
    query_starts.push_back(e + 1);
    context_lengths.push_back(0);
    table_starts.push_back(table_starts.back());
  }
  StepBatch batch = batch_data.view();
  const Planned bare(batch, limits_for(batch, 4096, 32, 32));
  batch.entries = batch.tokens = 8;
  batch.positions = positions.data();
  batch.query_starts = query_starts.data();
  batch.context_lengths = context_lengths.data();
  batch.table_starts = table_starts.data();
  const Planned padded(batch, limits_for(batch, 4096, 32, 32));
  CHECK(padded.size.decode_work == 4);
  CHECK(padded.size.prefill_work == 0);
  CHECK(padded.size.bytes == bare.size.bytes);
  CHECK(std::equal(padded.lists.begin(), padded.lists.begin() + padded.size.bytes / 8, bare.lists.begin()));
}

TEST_CASE("attention plan: chunks grow with the model's context, not with the step") {
  AttentionLimits limits;
  limits.heads = limits.kv_heads = 32;
  limits.head_size = 128;
  limits.max_entries = limits.max_tokens = 256;
  for (const auto& [context, chunk] :
       {std::pair{1, 128}, {4096, 128}, {8192, 128}, {8193, 256}, {131072, 2048}}) {
    limits.context_length = context;
    CHECK(limits.chunk_tokens() == chunk);
    CHECK(int64_t{limits.max_chunks()} * chunk >= context);
  }
}

TEST_CASE("attention plan: the block of a position without a division") {
  for (int32_t block_size = 1; block_size <= 1024; block_size++) {
    const BlockDivider divider(block_size);
    int32_t wrong = 0;
    for (const int32_t limit : {5000, 1 << 22}) {
      for (int32_t position = std::max(0, limit - 5000); position < limit; position++) {
        const int32_t block = divider.block(position);
        wrong += block != position / block_size || divider.slot(position, block) != position % block_size;
      }
    }
    CHECK(wrong == 0);
  }
}
