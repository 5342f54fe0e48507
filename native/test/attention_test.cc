#include <doctest/doctest.h>

#include "operator_support.h"

using namespace weir;
using namespace weir::test;

namespace {

struct Heads {
  int32_t query, kv, size;
};

// Softmax attention in fp64 over contexts that are written down flat: keys[entry][position][kv_head][size].
std::vector<double> expected_attention(const StepBatch& batch, const Heads& heads,
                                       const std::vector<float>& qkv,
                                       const std::vector<std::vector<float>>& keys,
                                       const std::vector<std::vector<float>>& values) {
  const int64_t columns = (int64_t{heads.query} + 2 * heads.kv) * heads.size;
  const int32_t group = heads.query / heads.kv;
  std::vector<double> out(int64_t{batch.tokens} * heads.query * heads.size);
  for (int32_t t = 0; t < batch.tokens; t++) {
    const int32_t entry = batch.entry_of_token[t];
    for (int32_t h = 0; h < heads.query; h++) {
      std::vector<double> weight(batch.positions[t] + 1);
      double largest = -1e300;
      for (size_t p = 0; p < weight.size(); p++) {
        for (int32_t i = 0; i < heads.size; i++) {
          weight[p] += static_cast<double>(qkv[t * columns + h * heads.size + i]) *
                       keys[entry][(p * heads.kv + h / group) * heads.size + i];
        }
        weight[p] /= std::sqrt(static_cast<double>(heads.size));
        largest = std::max(largest, weight[p]);
      }
      double sum = 0;
      for (double& w : weight) sum += w = std::exp(w - largest);
      for (size_t p = 0; p < weight.size(); p++) {
        for (int32_t i = 0; i < heads.size; i++) {
          out[(int64_t{t} * heads.query + h) * heads.size + i] +=
              weight[p] / sum * values[entry][(p * heads.kv + h / group) * heads.size + i];
        }
      }
    }
  }
  return out;
}

void check_attention(const Heads& heads, std::span<const RandomBatch::Entry> entries, int32_t block_size,
                     float query_deviation = 1) {
  const RandomBatch random(entries, block_size, 100, 11);
  const StepBatch batch = random.view();
  constexpr int32_t kLayers = 2;
  constexpr int32_t kLayer = 1;
  const KvLayout layout{block_size, kLayers, heads.kv, heads.size, {}};
  const int64_t columns = (int64_t{heads.query} + 2 * heads.kv) * heads.size;
  const auto qkv = random_floats(batch.tokens * columns, 5, query_deviation);
  std::vector<std::vector<float>> keys, values;
  for (size_t e = 0; e < entries.size(); e++) {
    const size_t count = int64_t{entries[e].context} * heads.kv * heads.size;
    keys.push_back(random_floats(count, static_cast<uint32_t>(100 + e)));
    values.push_back(random_floats(count, static_cast<uint32_t>(500 + e)));
  }
  const std::vector<double> expected = expected_attention(batch, heads, qkv, keys, values);

  for (const NamedBackend& named : PresentBackends()) {
    CAPTURE(named.name);
    CAPTURE(heads.query);
    CAPTURE(heads.kv);
    CAPTURE(heads.size);
    CAPTURE(block_size);
    const auto pool = named.backend->make_pool(layout, random.blocks, 0);
    float* data = static_cast<float*>(pool->data());
    // What lies beyond a context, in its last block or in blocks of others, must not be looked at.
    std::fill_n(data, random.blocks * layout.block_elements(), std::numeric_limits<float>::quiet_NaN());
    for (size_t e = 0; e < entries.size(); e++) {
      for (int32_t p = 0; p < entries[e].context; p++) {
        const int32_t block = random.block_tables[random.table_starts[e] + p / block_size];
        for (int32_t h = 0; h < heads.kv; h++) {
          const size_t from = (int64_t{p} * heads.kv + h) * heads.size;
          const int64_t slot = int64_t{p % block_size} * heads.size;
          std::copy_n(&keys[e][from], heads.size, data + layout.key_tile(block, kLayer, h) + slot);
          std::copy_n(&values[e][from], heads.size, data + layout.value_tile(block, kLayer, h) + slot);
        }
      }
    }
    const Tensor in(*named.backend, batch.tokens, columns, qkv);
    const Tensor out(*named.backend, batch.tokens, int64_t{heads.query} * heads.size);
    named.backend->make_context(limits_of(100))
        ->attention(batch, kLayer, heads.query, in.view(), *pool, out.view());
    CHECK(relative_error(out.values(), expected) < kFp32Tolerance);
  }
}

constexpr Heads kTiny{8, 4, 8};
constexpr Heads kLlama7B{32, 32, 128};
constexpr Heads kLlama13B{40, 40, 128};
constexpr Heads kTinyLlama{32, 4, 64};
constexpr Heads kOdd{6, 2, 10};

}  // namespace

TEST_CASE("attention: ragged mixtures of prefill chunks and decodes, for several shapes and block sizes") {
  const std::vector<RandomBatch::Entry> mixed = {{1, 1},  {17, 17}, {33, 1}, {50, 9},
                                                 {16, 1}, {64, 8},  {7, 7},  {40, 25}};
  for (const Heads& heads : {kTiny, kTinyLlama, kOdd}) {
    for (const int32_t block_size : {1, 3, 16, 128}) check_attention(heads, mixed, block_size);
  }
}

TEST_CASE("attention: the head counts of Llama-2-7B and 13B") {
  const std::vector<RandomBatch::Entry> entries = {{130, 1}, {20, 20}, {1, 1}};
  check_attention(kLlama7B, entries, 16);
  check_attention(kLlama13B, entries, 16);
}

TEST_CASE("attention: long contexts") {
  const std::vector<RandomBatch::Entry> entries = {{4096, 1}, {1023, 2}, {1025, 1}};
  check_attention(kTiny, entries, 16);
  check_attention(kTinyLlama, entries, 16);
}

TEST_CASE("attention: scores so large that exp overflows without the running maximum") {
  const std::vector<RandomBatch::Entry> entries = {{60, 3}, {33, 33}};
  check_attention(kTiny, entries, 3, 200);
}
