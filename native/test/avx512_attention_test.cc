// Attention in bfloat16, against 64-bit attention over inputs rounded to bfloat16, and bit by bit against
// itself.
#include <doctest/doctest.h>

#include "backend/cpu/avx512/operators.h"
#include "backend/cpu/avx512/target.h"
#include "operator_support.h"

#if defined(WEIR_HAS_AVX512)

using namespace weir;
using namespace weir::test;
using cpu::Bfloat16;

namespace {

struct Heads {
  int32_t query, kv, size;
};

constexpr Heads kTiny{8, 4, 8};
constexpr Heads kLlama7B{32, 32, 128};
constexpr Heads kLlama13B{40, 40, 128};
constexpr Heads kTinyLlama{32, 4, 64};
constexpr Heads kOdd{6, 2, 10};
constexpr Heads kWide{5, 1, 160};
constexpr Heads kOneKvHead{71, 1, 64};

constexpr int32_t kLayers = 2;
constexpr int32_t kLayer = 1;
constexpr Bfloat16 kNaN{0x7FC0};
constexpr double kBfloat16Rounding = 1.0 / 512;  // of 8 significant bits, to the nearest

// Queries of a batch, and a pool that holds the contexts and is full of NaN beside them: what lies beyond a
// context, in its last block or in blocks of others, must not be looked at.
struct Problem {
  Problem(const Heads& heads_, std::span<const RandomBatch::Entry> entries, int32_t block_size,
          float query_deviation)
      : heads(heads_),
        random(entries, block_size, 100, 11),
        batch(random.view()),
        layout{block_size, kLayers, heads.kv, heads.size, {WEIR_PRECISION_BF16, 2, false}},
        columns((int64_t{heads.query} + 2 * heads.kv) * heads.size),
        qkv(random_floats(batch.tokens * columns, 5, query_deviation)),
        pool(random.blocks * layout.block_elements(), kNaN) {
    for (size_t e = 0; e < entries.size(); e++) {
      const size_t count = int64_t{entries[e].context} * heads.kv * heads.size;
      const auto keys = random_floats(count, static_cast<uint32_t>(100 + e));
      const auto values = random_floats(count, static_cast<uint32_t>(500 + e));
      size_t from = 0;
      for (int32_t p = 0; p < entries[e].context; p++) {
        for (int32_t h = 0; h < heads.kv; h++) {
          for (int32_t i = 0; i < heads.size; i++, from++) {
            pool[key(static_cast<int32_t>(e), p, h, i)] = cpu::to_bfloat16(keys[from]);
            pool[value(static_cast<int32_t>(e), p, h, i)] = cpu::to_bfloat16(values[from]);
          }
        }
      }
    }
  }

  int32_t block(int32_t entry, int32_t position) const {
    return random.block_tables[random.table_starts[entry] + position / layout.block_size];
  }
  int64_t key(int32_t entry, int32_t position, int32_t head, int32_t element) const {
    return layout.key_tile(block(entry, position), kLayer, head) +
           cpu::avx512::key_offset(layout.block_size, position % layout.block_size, element);
  }
  int64_t value(int32_t entry, int32_t position, int32_t head, int32_t element) const {
    return layout.value_tile(block(entry, position), kLayer, head) +
           int64_t{position % layout.block_size} * heads.size + element;
  }

  Heads heads;
  RandomBatch random;
  StepBatch batch;
  KvLayout layout;
  int64_t columns;
  std::vector<float> qkv;
  std::vector<Bfloat16> pool;
};

template <typename Out>
Out poison() {
  if constexpr (std::is_same_v<Out, float>) {
    return std::numeric_limits<float>::quiet_NaN();
  } else {
    return kNaN;
  }
}

// Runs attention with scratch memory that is exactly as large as asked for and full of NaN.
template <typename Out>
std::vector<Out> attend(const Problem& problem, const StepBatch& batch, const float* qkv,
                        cpu::ThreadPool& threads) {
  const int64_t bytes =
      cpu::avx512::attention_scratch(batch, problem.heads.query, problem.layout, threads.threads());
  std::vector<char> scratch(bytes, static_cast<char>(0xFF));
  std::vector<Out> out(int64_t{batch.tokens} * problem.heads.query * problem.heads.size, poison<Out>());
  cpu::avx512::attention(batch, kLayer, problem.heads.query, qkv, problem.layout, problem.pool.data(),
                         out.data(), scratch.data(), threads);
  return out;
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

struct Expected {
  std::vector<double> out;
  std::vector<double> magnitude;  // the same with the absolute values of the values
};

Expected expected_attention(const Problem& problem) {
  const Heads& heads = problem.heads;
  const StepBatch& batch = problem.batch;
  const int32_t group = heads.query / heads.kv;
  Expected expected;
  expected.out.resize(int64_t{batch.tokens} * heads.query * heads.size);
  expected.magnitude.resize(expected.out.size());
  std::vector<double> weights, query(heads.size);
  for (int32_t t = 0; t < batch.tokens; t++) {
    const int32_t entry = batch.entry_of_token[t];
    for (int32_t h = 0; h < heads.query; h++) {
      for (int32_t i = 0; i < heads.size; i++) {
        query[i] = cpu::to_float(cpu::to_bfloat16(problem.qkv[t * problem.columns + h * heads.size + i]));
      }
      weights.assign(batch.positions[t] + 1, 0);
      double largest = -1e300;
      for (int32_t p = 0; p <= batch.positions[t]; p++) {
        for (int32_t i = 0; i < heads.size; i++) {
          weights[p] += query[i] * cpu::to_float(problem.pool[problem.key(entry, p, h / group, i)]);
        }
        weights[p] /= std::sqrt(static_cast<double>(heads.size));
        largest = std::max(largest, weights[p]);
      }
      double sum = 0;
      for (double& w : weights) sum += w = std::exp(w - largest);
      const int64_t row = (int64_t{t} * heads.query + h) * heads.size;
      for (int32_t p = 0; p <= batch.positions[t]; p++) {
        for (int32_t i = 0; i < heads.size; i++) {
          const double value = cpu::to_float(problem.pool[problem.value(entry, p, h / group, i)]);
          expected.out[row + i] += weights[p] / sum * value;
          expected.magnitude[row + i] += weights[p] / sum * std::fabs(value);
        }
      }
    }
  }
  return expected;
}

// Rounding moves each weight w by at most r w, where r = kBfloat16Rounding, and so both sums of
// (sum of w v) / (sum of w): by at most 2 r / (1 - r) times the weighted mean of |v| together. A quarter of
// that is left for the scores, which are sums of 32-bit products. As the errors of the weights are
// independent of each other and of the values, the error of a whole output is below r of its norm.
void check_attention(const Heads& heads, std::span<const RandomBatch::Entry> entries, int32_t block_size,
                     float query_deviation = 1) {
  CAPTURE(heads.query);
  CAPTURE(heads.kv);
  CAPTURE(heads.size);
  CAPTURE(block_size);
  const Problem problem(heads, entries, block_size, query_deviation);
  const Expected expected = expected_attention(problem);
  const SharedWork shared_work;
  std::vector<float> first;
  for (const int threads : {1, 2, 3, 4}) {
    CAPTURE(threads);
    cpu::ThreadPool pool(threads, false);
    const auto out = attend<float>(problem, problem.batch, problem.qkv.data(), pool);
    if (threads == 1) {
      first = out;
      CHECK(relative_error(out, expected.out) < kBfloat16Rounding);
      for (size_t i = 0; i < out.size(); i++) {
        const double error = std::fabs(out[i] - expected.out[i]);
        REQUIRE(error <= 2.5 * kBfloat16Rounding * expected.magnitude[i]);
      }
    }
    CHECK(same_bits(out, first));
    const auto rounded = attend<Bfloat16>(problem, problem.batch, problem.qkv.data(), pool);
    int64_t different = 0;
    for (size_t i = 0; i < out.size(); i++) different += rounded[i].bits != cpu::to_bfloat16(out[i]).bits;
    CHECK(different == 0);
  }
}

// The rows of positions [first, end) of one sequence.
class PartOfSequence {
 public:
  PartOfSequence(const Problem& problem, int32_t first, int32_t end)
      : entries_(end - first), positions_(end - first), query_starts_{0, end - first}, context_(end) {
    std::iota(positions_.begin(), positions_.end(), first);
    batch_ = problem.batch;
    batch_.entries = 1;
    batch_.tokens = end - first;
    batch_.samples = 0;
    batch_.longest_context = end;
    batch_.positions = positions_.data();
    batch_.entry_of_token = entries_.data();
    batch_.query_starts = query_starts_.data();
    batch_.context_lengths = &context_;
  }
  PartOfSequence(const PartOfSequence&) = delete;
  PartOfSequence& operator=(const PartOfSequence&) = delete;
  const StepBatch& view() const { return batch_; }

 private:
  std::vector<int32_t> entries_, positions_, query_starts_;
  int32_t context_;
  StepBatch batch_;
};

}  // namespace

TEST_CASE(
    "avx512 attention: ragged mixtures of prefill chunks and decodes, for several shapes and block sizes") {
  if (!has_avx512()) return;
  const std::vector<RandomBatch::Entry> mixed = {{1, 1},  {17, 17}, {33, 1}, {50, 9},  {300, 1},
                                                 {16, 1}, {64, 8},  {7, 7},  {40, 25}, {290, 70}};
  for (const Heads& heads : {kTiny, kOdd}) {
    for (const int32_t block_size : {1, 3, 6, 16, 32, 128, 1024}) check_attention(heads, mixed, block_size);
  }
  for (const Heads& heads : {kTinyLlama, kWide, kOneKvHead}) {
    for (const int32_t block_size : {3, 16}) check_attention(heads, mixed, block_size);
  }
}

TEST_CASE("avx512 attention: the head counts of Llama-2-7B and 13B") {
  if (!has_avx512()) return;
  const std::vector<RandomBatch::Entry> entries = {{130, 1}, {20, 20}, {1, 1}, {600, 3}, {256, 1}, {257, 1}};
  check_attention(kLlama7B, entries, 16);
  check_attention(kLlama13B, entries, 16);
}

TEST_CASE("avx512 attention: long contexts") {
  if (!has_avx512()) return;
  const std::vector<RandomBatch::Entry> entries = {{4096, 1}, {1023, 2}, {1025, 1}};
  for (const int32_t block_size : {3, 16}) {
    check_attention(kTiny, entries, block_size);
    check_attention(kTinyLlama, entries, block_size);
  }
  const RandomBatch::Entry alone[] = {{4096, 1}};
  check_attention(kLlama7B, alone, 16);
}

TEST_CASE("avx512 attention: scores so large that exp overflows without the running maximum") {
  if (!has_avx512()) return;
  const std::vector<RandomBatch::Entry> entries = {{600, 3}, {33, 33}};
  check_attention(kTiny, entries, 3, 200);
  check_attention(kTinyLlama, entries, 16, 200);
}

TEST_CASE("avx512 attention: a NaN among a row's own keys makes its output NaN, and no other") {
  if (!has_avx512()) return;
  const RandomBatch::Entry entries[] = {{300, 1}, {300, 1}};
  Problem problem(kTiny, entries, 16, 1);
  problem.pool[problem.key(1, 290, 2, 3)] = kNaN;
  cpu::ThreadPool threads(2, false);
  const auto out = attend<float>(problem, problem.batch, problem.qkv.data(), threads);
  for (int32_t t = 0; t < 2; t++) {
    for (int32_t h = 0; h < kTiny.query; h++) {
      for (int32_t i = 0; i < kTiny.size; i++) {
        REQUIRE(std::isnan(out[(t * kTiny.query + h) * kTiny.size + i]) == (t == 1 && h / 2 == 2));
      }
    }
  }
}

TEST_CASE(
    "avx512 attention: a row has the same bits in a prefill of any size and as a decode, on any threads") {
  if (!has_avx512()) return;
  const SharedWork shared_work;
  constexpr int32_t kContext = 610;
  const RandomBatch::Entry entries[] = {{kContext, kContext}};
  for (const Heads& heads : {kTiny, kTinyLlama, kOdd, Heads{3, 3, 128}, kWide}) {
    for (const int32_t block_size : {1, 3, 16, 128}) {
      CAPTURE(heads.query);
      CAPTURE(heads.size);
      CAPTURE(block_size);
      const Problem problem(heads, entries, block_size, 3);
      cpu::ThreadPool alone(1, false);
      const auto whole = attend<float>(problem, problem.batch, problem.qkv.data(), alone);
      const int64_t row = int64_t{heads.query} * heads.size;
      for (const int threads : {1, 3}) {
        CAPTURE(threads);
        cpu::ThreadPool pool(threads, false);
        for (const int32_t step : {1, 2, 5, 12, 64, 300}) {
          // Some of the decodes are enough.
          for (int32_t first = 0; first < kContext; first += step == 1 ? 7 : step) {
            const int32_t end = std::min(first + step, kContext);
            const PartOfSequence part(problem, first, end);
            const auto out =
                attend<float>(problem, part.view(), problem.qkv.data() + first * problem.columns, pool);
            REQUIRE(same_bits(out, std::span(whole).subspan(first * row, (end - first) * row)));
          }
        }
      }
    }
  }
}

TEST_CASE("avx512 attention: a row has the same bits whatever else is in the batch") {
  if (!has_avx512()) return;
  const SharedWork shared_work;
  const std::vector<RandomBatch::Entry> entries = {{900, 1}, {17, 17}, {33, 1},
                                                   {500, 9}, {300, 1}, {290, 70}};
  for (const Heads& heads : {kTiny, kTinyLlama, Heads{4, 4, 128}}) {
    const Problem problem(heads, entries, 16, 1);
    cpu::ThreadPool pool(3, false);
    const auto together = attend<float>(problem, problem.batch, problem.qkv.data(), pool);
    const int64_t row = int64_t{heads.query} * heads.size;
    for (size_t e = 0; e < entries.size(); e++) {
      const int32_t first = problem.batch.query_starts[e];
      const int32_t count = entries[e].queries;
      const int32_t starts[] = {0, count};
      const std::vector<int32_t> zeros(count);
      StepBatch alone = problem.batch;
      alone.entries = 1;
      alone.tokens = count;
      alone.longest_context = entries[e].context;
      alone.positions += first;
      alone.entry_of_token = zeros.data();
      alone.query_starts = starts;
      alone.context_lengths += e;
      alone.table_starts += e;
      const auto out = attend<float>(problem, alone, problem.qkv.data() + first * problem.columns, pool);
      CHECK(same_bits(out, std::span(together).subspan(first * row, count * row)));
    }
  }
}

#endif
