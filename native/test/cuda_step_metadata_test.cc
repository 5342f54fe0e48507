#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "backend/cuda/device.h"
#include "backend/cuda/graphs.h"
#include "backend/cuda/step_metadata.h"
#include "cuda_support.h"
#include "operator_support.h"

using namespace weir;
using namespace weir::test;

namespace {

template <typename T>
std::vector<T> from_device(const T* data, size_t count) {
  std::vector<T> values(count);
  cuda::check(cudaMemcpy(values.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost), "a test");
  return values;
}

cuda::AttentionLimits attention_limits(const ContextLimits& limits) {
  cuda::AttentionLimits attention;
  attention.max_entries = limits.max_entries;
  attention.max_tokens = limits.max_tokens;
  attention.context_length = limits.context_length;
  attention.heads = 8;
  attention.kv_heads = 4;
  attention.head_size = 64;
  attention.multiprocessors = 4;
  return attention;
}

}  // namespace

TEST_CASE(
    "decode buckets: 1, 2, 4, 8, by 8 to 64, by 16 to 256 or to the largest batch, and each holds what is "
    "rounded up to it") {
  std::vector<int32_t> ladder = {1, 2, 4, 8};
  for (int32_t bucket = 16; bucket <= 64; bucket += 8) ladder.push_back(bucket);
  for (int32_t bucket = 80; bucket <= 256; bucket += 16) ladder.push_back(bucket);
  for (const int32_t largest : {1, 3, 8, 9, 64, 100, 255, 256, 257, 5000}) {
    CAPTURE(largest);
    std::vector<int32_t> expected;
    for (const int32_t bucket : ladder) {
      if (bucket < largest) expected.push_back(bucket);
    }
    if (largest <= 256) expected.push_back(largest);
    std::vector<int32_t> buckets;
    for (int32_t bucket = 1; bucket != 0; bucket = cuda::next_decode_bucket(bucket, largest)) {
      buckets.push_back(bucket);
    }
    CHECK(buckets == expected);
    for (int32_t entries = 1; entries <= expected.back(); entries++) {
      const auto bucket = std::lower_bound(expected.begin(), expected.end(), entries);
      CHECK(cuda::decode_bucket(entries, largest) == *bucket);
    }
    CHECK(cuda::decode_bucket(expected.back() + 1, largest) == 0);
  }
}

TEST_CASE("metadata: arrays do not overlap, and lie where they lay for every batch of the same sizes") {
  for (const int32_t tokens : {1, 3, 64, 1000}) {
    const cuda::MetadataLayout layout(tokens, tokens + 2, tokens, 777);
    const std::vector<std::pair<int64_t, int64_t>> arrays = {
        {layout.token_ids, (tokens + 2) * 4},      {layout.positions, (tokens + 2) * 4},
        {layout.entry_of_token, (tokens + 2) * 4}, {layout.query_starts, (tokens + 1) * 4},
        {layout.context_lengths, tokens * 4},      {layout.sample_rows, tokens * 4},
        {layout.table_starts, (tokens + 1) * 8},   {layout.plan, 777}};
    int64_t end = 0;
    for (const auto& [begin, bytes] : arrays) {
      CHECK(begin >= end);
      CHECK(begin % 256 == 0);
      end = begin + bytes;
    }
    CHECK(layout.block_tables >= end);
  }
}

TEST_CASE("metadata: what arrives on the device is the batch, padded with entries that belong to nobody") {
  if (!has_cuda_device()) return;
  ContextLimits limits = limits_of(100);
  limits.max_entries = limits.max_samples = 16;
  limits.max_tokens = 64;
  limits.context_length = 256;
  cuda::StepMetadata metadata(limits, attention_limits(limits));
  const std::vector<RandomBatch::Entry> decodes = {{17, 1}, {1, 1}, {250, 1}};
  const std::vector<RandomBatch::Entry> mixed = {{17, 1}, {30, 12}, {250, 1}, {9, 9}};
  struct Case {
    std::span<const RandomBatch::Entry> entries;
    int32_t padded;
  };
  for (const Case& item : {Case{decodes, 3}, Case{decodes, 8}, Case{mixed, 4}, Case{decodes, 4}}) {
    CAPTURE(item.padded);
    const RandomBatch random(item.entries, 16, 100, 5);
    const StepBatch batch = random.view();
    metadata.upload(batch, item.padded, test_stream());
    cuda::check(cudaStreamSynchronize(test_stream()), "a test");
    const int32_t padding = item.padded - batch.entries;
    const auto padded = [&](auto values, int32_t count, auto filler) {
      values.insert(values.end(), count, filler);
      return values;
    };
    const cuda::DeviceBatch& device = metadata.batch();
    const size_t tokens = batch.tokens + padding;
    CHECK(from_device(device.token_ids, tokens) == padded(random.token_ids, padding, 0));
    CHECK(from_device(device.positions, tokens) == padded(random.positions, padding, -1));
    CHECK(from_device(device.entry_of_token, tokens) == padded(random.entry_of_token, padding, -1));
    CHECK(from_device(device.context_lengths, item.padded) == padded(random.context_lengths, padding, 0));
    CHECK(from_device(device.sample_rows, batch.samples + padding) == padded(random.sample_rows, padding, 0));
    CHECK(from_device(device.table_starts, item.padded + 1) ==
          padded(random.table_starts, padding, random.table_starts.back()));
    CHECK(from_device(device.block_tables, random.block_tables.size()) == random.block_tables);
    std::vector<int32_t> starts = random.query_starts;
    for (int32_t i = 0; i < padding; i++) starts.push_back(starts.back() + 1);
    CHECK(from_device(device.query_starts, item.padded + 1) == starts);
    CHECK((metadata.plan().prefill_work > 0) == (batch.tokens > batch.entries));
  }
}
