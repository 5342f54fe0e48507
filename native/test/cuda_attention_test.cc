// The attention kernels and rope_append against references in fp64, on a CUDA device or the emulator.
#include <cuda_fp8.h>
#include <doctest/doctest.h>

#include <cstring>
#include <set>

#include "backend/cuda/attention_plan.h"
#include "backend/cuda/operators.h"
#include "cuda_support.h"
#include "operator_support.h"

using namespace weir;
using namespace weir::cuda;
using weir::test::DeviceArray;
using weir::test::has_cuda_device;
using weir::test::random_floats;
using weir::test::RandomBatch;
using weir::test::test_stream;

namespace {

// One element as the device keeps it, and back.
uint16_t to_bits(ElementType type, float value) {
  uint16_t bits;
  if (type == ElementType::kF16) {
    const __half half = __float2half_rn(value);
    std::memcpy(&bits, &half, sizeof bits);
  } else {
    const __nv_bfloat16 half = __float2bfloat16_rn(value);
    std::memcpy(&bits, &half, sizeof bits);
  }
  return bits;
}

float from_bits(ElementType type, uint16_t bits) {
  if (type == ElementType::kF16) return __half2float(__half(__half_raw{bits}));
  return __bfloat162float(__nv_bfloat16(__nv_bfloat16_raw{bits}));
}

float from_byte(ElementType type, uint8_t byte) {
  if (type == ElementType::kInt8) return static_cast<int8_t>(byte);
  const __half_raw half = __nv_cvt_fp8_to_halfraw(byte, __NV_E4M3);
  return __half2float(__half(half));
}

bool is_scaled(ElementType type) { return type == ElementType::kInt8 || type == ElementType::kFp8; }

std::vector<uint16_t> all_to_bits(ElementType type, const std::vector<float>& values) {
  std::vector<uint16_t> bits(values.size());
  for (size_t i = 0; i < values.size(); i++) bits[i] = to_bits(type, values[i]);
  return bits;
}

std::vector<float> all_from_bits(ElementType type, const std::vector<uint16_t>& bits) {
  std::vector<float> values(bits.size());
  for (size_t i = 0; i < bits.size(); i++) values[i] = from_bits(type, bits[i]);
  return values;
}

weir_precision precision_of(ElementType type) {
  switch (type) {
    case ElementType::kBf16:
      return WEIR_PRECISION_BF16;
    case ElementType::kInt8:
      return WEIR_PRECISION_INT8;
    case ElementType::kFp8:
      return WEIR_PRECISION_FP8;
    default:
      return WEIR_PRECISION_FP16;
  }
}

struct Heads {
  int32_t query, kv, size;
};

constexpr Heads kStories260K{8, 4, 8};
constexpr Heads kLlama7B{32, 32, 128};
constexpr Heads kLlama13B{40, 40, 128};
constexpr Heads kTinyLlama{32, 4, 64};
constexpr Heads kOdd{6, 2, 10};
// Small relatives, so that an emulated device is done in time.
constexpr Heads kPlain128{2, 2, 128};
constexpr Heads kPlain64{3, 3, 64};
constexpr Heads kGrouped128{8, 2, 128};
constexpr Heads kGrouped64{6, 2, 64};
constexpr Heads kWideGroup{20, 1, 64};

struct Kind {
  Heads heads;
  int32_t block_size = 16;
  ElementType type = ElementType::kF16;
  ElementType kv = ElementType::kF16;

  QkvShape shape() const {
    QkvShape shape;
    shape.type = type;
    shape.layer = 1;
    shape.heads = heads.query;
    shape.layout =
        KvLayout{block_size, 2, heads.kv, heads.size, {precision_of(kv), bytes_of(kv), is_scaled(kv)}};
    return shape;
  }
  int64_t columns() const { return (int64_t{heads.query} + 2 * heads.kv) * heads.size; }
};

// The arrays of a batch on the device, with room for others.
class BatchOnDevice {
 public:
  explicit BatchOnDevice(const StepBatch& batch, int64_t room = 0)
      : positions_(std::max<int64_t>(batch.tokens, room)),
        entries_(std::max<int64_t>(batch.tokens, room)),
        query_starts_(std::max<int64_t>(batch.entries + 1, room)),
        contexts_(std::max<int64_t>(batch.entries, room)),
        tables_(std::max(batch.table_starts[batch.entries], room)),
        table_starts_(std::max<int64_t>(batch.entries + 1, room)) {
    set(batch);
  }
  void set(const StepBatch& batch) {
    positions_.assign(std::span(batch.positions, batch.tokens));
    entries_.assign(std::span(batch.entry_of_token, batch.tokens));
    query_starts_.assign(std::span(batch.query_starts, batch.entries + 1));
    contexts_.assign(std::span(batch.context_lengths, batch.entries));
    tables_.assign(std::span(batch.block_tables, batch.table_starts[batch.entries]));
    table_starts_.assign(std::span(batch.table_starts, batch.entries + 1));
  }
  DeviceBatch view() const {
    DeviceBatch batch;
    batch.positions = positions_.data();
    batch.entry_of_token = entries_.data();
    batch.query_starts = query_starts_.data();
    batch.context_lengths = contexts_.data();
    batch.block_tables = tables_.data();
    batch.table_starts = table_starts_.data();
    return batch;
  }

 private:
  DeviceArray<int32_t> positions_, entries_, query_starts_, contexts_, tables_;
  DeviceArray<int64_t> table_starts_;
};

// Keys and values of sequences, by entry, [position][kv_head][size], as numbers and as the pool's bytes.
// Slots of the pool that no sequence uses hold NaNs.
struct Contexts {
  Contexts(const Kind& kind, const RandomBatch& batch, std::span<const RandomBatch::Entry> entries,
           uint32_t seed = 0) {
    const KvLayout layout = kind.shape().layout;
    pool.assign(batch.blocks * layout.block_bytes(), 0xff);
    for (size_t e = 0; e < entries.size(); e++) {
      const size_t count = int64_t{entries[e].context} * kind.heads.kv * kind.heads.size;
      keys.push_back(random_floats(count, static_cast<uint32_t>(100 + e + seed)));
      values.push_back(random_floats(count, static_cast<uint32_t>(500 + e + seed)));
      for (int32_t p = 0; p < entries[e].context; p++) {
        const int32_t block = batch.block_tables[batch.table_starts[e] + p / kind.block_size];
        for (int32_t h = 0; h < kind.heads.kv; h++) {
          const size_t from = (int64_t{p} * kind.heads.kv + h) * kind.heads.size;
          put(kind, block, layout.key_tile_index(1, h), p % kind.block_size, &keys[e][from]);
          put(kind, block, layout.value_tile_index(1, h), p % kind.block_size, &values[e][from]);
        }
      }
    }
  }

  // Writes the elements of one head, and back what became of them.
  void put(const Kind& kind, int32_t block, int64_t tile, int32_t slot, float* head) {
    const KvLayout layout = kind.shape().layout;
    const int32_t size = kind.heads.size;
    uint8_t* const to =
        pool.data() + layout.tile_offset(block, tile) + int64_t{slot} * size * layout.element.bytes;
    if (!layout.element.scaled) {
      for (int32_t i = 0; i < size; i++) {
        const uint16_t bits = to_bits(kind.kv, head[i]);
        std::memcpy(to + 2 * i, &bits, 2);
        head[i] = from_bits(kind.kv, bits);
      }
      return;
    }
    float largest = 0;
    for (int32_t i = 0; i < size; i++) largest = std::max(largest, std::abs(head[i]));
    const float scale = largest / (kind.kv == ElementType::kInt8 ? 127 : 448);
    std::memcpy(pool.data() + layout.scales_offset(block, tile) + slot * sizeof(float), &scale, sizeof scale);
    for (int32_t i = 0; i < size; i++) {
      to[i] = kind.kv == ElementType::kInt8
                  ? static_cast<uint8_t>(static_cast<int8_t>(std::lrint(head[i] / scale)))
                  : __nv_cvt_float_to_fp8(head[i] / scale, __NV_SATFINITE, __NV_E4M3);
      head[i] = from_byte(kind.kv, to[i]) * scale;
    }
  }

  std::vector<uint8_t> pool;
  std::vector<std::vector<float>> keys, values;
};

// Softmax attention of one row in fp64: [heads][size].
std::vector<double> expected_row(const Heads& heads, std::span<const float> row,
                                 const std::vector<float>& keys, const std::vector<float>& values,
                                 int32_t position) {
  const int32_t group = heads.query / heads.kv;
  std::vector<double> out(int64_t{heads.query} * heads.size);
  std::vector<double> weight(position + 1);
  for (int32_t h = 0; h < heads.query; h++) {
    double largest = -1e300;
    for (int32_t p = 0; p <= position; p++) {
      double score = 0;
      const float* const key = &keys[(int64_t{p} * heads.kv + h / group) * heads.size];
      for (int32_t i = 0; i < heads.size; i++) score += static_cast<double>(row[h * heads.size + i]) * key[i];
      weight[p] = score / std::sqrt(static_cast<double>(heads.size));
      largest = std::max(largest, weight[p]);
    }
    double sum = 0;
    for (double& w : weight) sum += w = std::exp(w - largest);
    for (int32_t p = 0; p <= position; p++) {
      const float* const value = &values[(int64_t{p} * heads.kv + h / group) * heads.size];
      for (int32_t i = 0; i < heads.size; i++) out[h * heads.size + i] += weight[p] / sum * value[i];
    }
  }
  return out;
}

AttentionLimits limits_for(const Kind& kind, int32_t entries, int32_t tokens, int32_t context_length) {
  int device = 0;
  int multiprocessors = 0;
  weir::cuda::check(cudaGetDevice(&device), "a test");
  weir::cuda::check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device),
                    "a test");
  AttentionLimits limits;
  limits.max_entries = entries;
  limits.max_tokens = tokens;
  limits.context_length = context_length;
  limits.heads = kind.heads.query;
  limits.kv_heads = kind.heads.kv;
  limits.head_size = kind.heads.size;
  limits.multiprocessors = multiprocessors;
  return limits;
}

// Everything that attention() of one context uses, at fixed addresses.
class Device {
 public:
  Device(const Kind& kind, const StepBatch& batch, const std::vector<uint8_t>& pool, int32_t context_length,
         int64_t room = 0)
      : kind_(kind),
        limits_(limits_for(kind, batch.entries, batch.tokens, context_length)),
        launch_(prepare_attention(kind.shape(), limits_)),
        batch_(batch, room),
        lists_(limits_.plan_bytes()),
        scratch_(limits_.scratch_bytes()),
        qkv_(batch.tokens * kind.columns()),
        pool_(pool),
        out_(int64_t{batch.tokens} * kind.heads.query * kind.heads.size) {
    // The counters; partial results that nobody wrote must not be read.
    scratch_.assign(std::vector<std::byte>(limits_.partial_sums_offset()));
    set(batch);
  }

  void set(const StepBatch& batch) {
    std::vector<std::byte> lists(limits_.plan_bytes());
    const AttentionPlanSize size = write_attention_plan(batch, limits_, lists.data());
    lists.resize(size.bytes);
    lists_.assign(lists);
    batch_.set(batch);
    plan_.lists = lists_.data();
    plan_.prefill_work = size.prefill_work;
    plan_.limits = limits_;
    rows_ = batch.tokens;
  }
  void set_qkv(const std::vector<uint16_t>& qkv) { qkv_.assign(qkv); }

  void launch(cudaStream_t stream) const {
    AttentionArguments arguments;
    arguments.shape = kind_.shape();
    arguments.batch = batch_.view();
    arguments.plan = plan_;
    arguments.launch = launch_;
    arguments.rows = rows_;
    arguments.scratch = scratch_.data();
    arguments.qkv = qkv_.data();
    arguments.pool = pool_.data();
    arguments.out = out_.data();
    attention(stream, arguments);
  }
  void append(const float* rotations) const {
    rope_append(test_stream(), kind_.shape(), batch_.view(), rotations, qkv_.data(), pool_.data(), rows_);
  }
  // Bits of the result, over NaNs.
  std::vector<uint16_t> run(const std::vector<uint16_t>& qkv) {
    set_qkv(qkv);
    out_.assign(std::vector<uint16_t>(out_.values().size(), 0xffff));
    launch(test_stream());
    return out();
  }
  std::vector<uint16_t> out() const { return out_.values(); }

 private:
  Kind kind_;
  AttentionLimits limits_;
  AttentionLaunch launch_;
  BatchOnDevice batch_;
  DeviceArray<std::byte> lists_, scratch_;
  DeviceArray<uint16_t> qkv_;
  DeviceArray<uint8_t> pool_;
  DeviceArray<uint16_t> out_;
  AttentionPlan plan_;
  int64_t rows_ = 0;
};

// Rounding of weights and results to the type of activations, and something for the sums.
double tolerance_of(ElementType type) { return type == ElementType::kF16 ? 1e-3 : 8e-3; }

void check_rows(const Kind& kind, const StepBatch& batch, const Contexts& contexts,
                const std::vector<uint16_t>& qkv, const std::vector<uint16_t>& out, int32_t stride = 1) {
  const std::vector<float> numbers = all_from_bits(kind.type, qkv);
  const std::vector<float> results = all_from_bits(kind.type, out);
  const int64_t row_size = int64_t{kind.heads.query} * kind.heads.size;
  for (int32_t t = 0; t < batch.tokens; t += t + stride < batch.tokens ? stride : 1) {
    CAPTURE(t);
    CAPTURE(batch.positions[t]);
    const int32_t entry = batch.entry_of_token[t];
    const std::vector<double> expected =
        expected_row(kind.heads, std::span(numbers).subspan(t * kind.columns(), kind.columns()),
                     contexts.keys[entry], contexts.values[entry], batch.positions[t]);
    const double error =
        weir::test::relative_error(std::span(results).subspan(t * row_size, row_size), expected);
    CHECK(error < tolerance_of(kind.type));
  }
}

void check_attention(const Kind& kind, std::span<const RandomBatch::Entry> entries, float query_deviation = 1,
                     int32_t stride = 1) {
  CAPTURE(kind.heads.query);
  CAPTURE(kind.heads.kv);
  CAPTURE(kind.heads.size);
  CAPTURE(kind.block_size);
  CAPTURE(static_cast<int>(kind.type));
  CAPTURE(static_cast<int>(kind.kv));
  const RandomBatch random(entries, kind.block_size, 100, 11);
  const StepBatch batch = random.view();
  const Contexts contexts(kind, random, entries);
  const auto qkv = all_to_bits(kind.type, random_floats(batch.tokens * kind.columns(), 5, query_deviation));
  Device device(kind, batch, contexts.pool, 4200);
  const std::vector<uint16_t> out = device.run(qkv);
  check_rows(kind, batch, contexts, qkv, out, stride);
  // The counters are as they were, and the order in which blocks end does not matter.
  CHECK(device.run(qkv) == out);
}

// The types of keys and values that there are for each type of activations.
std::vector<Kind> kinds_of(const Heads& heads, int32_t block_size) {
  std::vector<Kind> kinds;
  for (const ElementType type : {ElementType::kF16, ElementType::kBf16}) {
    for (const ElementType kv : {type, ElementType::kInt8, ElementType::kFp8}) {
      kinds.push_back({heads, block_size, type, kv});
    }
  }
  return kinds;
}

const std::vector<RandomBatch::Entry> kRagged = {{1, 1}, {37, 1},  {70, 9}, {129, 1},
                                                 {5, 5}, {300, 1}, {64, 2}};

}  // namespace

TEST_CASE("cuda attention: ragged mixtures of prefills and decodes, for several shapes and block sizes") {
  if (!has_cuda_device()) return;
  for (const Heads& heads : {kStories260K, kOdd, kPlain128, kPlain64, kGrouped128, kGrouped64, kWideGroup}) {
    for (const int32_t block_size : {1, 3, 16, 128}) check_attention({heads, block_size}, kRagged);
  }
}

TEST_CASE("cuda attention: every type of activations, keys and values") {
  if (!has_cuda_device()) return;
  for (const Heads& heads : {kOdd, kPlain128, kPlain64, kGrouped128, kGrouped64}) {
    for (const int32_t block_size : {3, 16}) {
      for (const Kind& kind : kinds_of(heads, block_size)) check_attention(kind, kRagged);
    }
  }
}

TEST_CASE("cuda attention: the head counts of Llama-2-7B, 13B and TinyLlama") {
  if (!has_cuda_device()) return;
  const std::vector<RandomBatch::Entry> entries = {{150, 1}, {20, 20}, {1, 1}};
  for (const Heads& heads : {kLlama7B, kLlama13B, kTinyLlama}) check_attention({heads}, entries);
}

TEST_CASE("cuda attention: long contexts and prefills of several tiles") {
  if (!has_cuda_device()) return;
  check_attention({kPlain128}, std::vector<RandomBatch::Entry>{{4096, 1}, {1025, 1}, {1023, 2}});
  check_attention({kGrouped64}, std::vector<RandomBatch::Entry>{{4096, 1}, {1025, 3}});
  check_attention({kPlain64}, std::vector<RandomBatch::Entry>{{333, 200}, {130, 130}}, 1, 7);
  check_attention({kGrouped128}, std::vector<RandomBatch::Entry>{{130, 100}}, 1, 7);
  check_attention({kStories260K}, std::vector<RandomBatch::Entry>{{512, 1}, {200, 150}}, 1, 7);
}

TEST_CASE("cuda attention: scores so large that exp overflows without the running maximum") {
  if (!has_cuda_device()) return;
  const std::vector<RandomBatch::Entry> entries = {{200, 3}, {33, 33}, {300, 1}};
  for (const Heads& heads : {kStories260K, kPlain128, kGrouped64}) check_attention({heads, 3}, entries, 200);
}

TEST_CASE("cuda attention: the bits of a row do not depend on the rest of the batch") {
  if (!has_cuda_device()) return;
  const std::vector<RandomBatch::Entry> entries = {{300, 1}, {70, 40}, {129, 1}, {1, 1}, {90, 90}, {257, 1}};
  for (const Heads& heads : {kPlain128, kGrouped64, kOdd}) {
    for (const ElementType kv : {ElementType::kF16, ElementType::kInt8}) {
      const Kind kind{heads, 16, ElementType::kF16, kv};
      const RandomBatch random(entries, kind.block_size, 100, 12);
      const StepBatch batch = random.view();
      const Contexts contexts(kind, random, entries);
      const auto qkv = all_to_bits(kind.type, random_floats(batch.tokens * kind.columns(), 6));
      const std::vector<uint16_t> together = Device(kind, batch, contexts.pool, 512).run(qkv);
      const int64_t row_size = int64_t{heads.query} * heads.size;

      for (size_t e = 0; e < entries.size(); e++) {
        // The same tokens alone, and where there are many the last half of them alone.
        for (const int32_t queries : std::set{entries[e].queries, (entries[e].queries + 1) / 2}) {
          if (queries == 1 && entries[e].queries > 1) continue;
          CAPTURE(e);
          CAPTURE(queries);
          const int32_t context = entries[e].context;
          const int32_t last = batch.query_starts[e + 1];
          RandomBatch alone(std::vector<RandomBatch::Entry>{{context, queries}}, kind.block_size, 100, 13);
          alone.block_tables.assign(random.block_tables.begin() + random.table_starts[e],
                                    random.block_tables.begin() + random.table_starts[e + 1]);
          const std::vector<uint16_t> own(qkv.begin() + (last - queries) * kind.columns(),
                                          qkv.begin() + last * kind.columns());
          const std::vector<uint16_t> out = Device(kind, alone.view(), contexts.pool, 512).run(own);
          CHECK(std::equal(out.begin(), out.end(), together.begin() + (last - queries) * row_size));
        }
      }
    }
  }
}

TEST_CASE("cuda attention: a recorded step is replayed with other contexts and fewer entries") {
  if (!has_cuda_device()) return;
  for (const Heads& heads : {kPlain128, kGrouped64, kOdd}) {
    const Kind kind{heads};
    const std::vector<RandomBatch::Entry> first = {{20, 1}, {300, 1}, {1, 1}, {140, 1}};
    const std::vector<RandomBatch::Entry> second = {{129, 1}, {260, 1}, {400, 1}};
    RandomBatch recorded(first, kind.block_size, 100, 14);
    RandomBatch replayed(second, kind.block_size, 100, 15);
    Contexts contexts(kind, replayed, second);
    // The fourth entry is padding.
    replayed.token_ids.push_back(0);
    replayed.positions.push_back(-1);
    replayed.entry_of_token.push_back(-1);
    replayed.query_starts.push_back(4);
    replayed.context_lengths.push_back(0);
    replayed.table_starts.push_back(replayed.table_starts.back());
    const auto qkv = all_to_bits(kind.type, random_floats(4 * kind.columns(), 6));

    Contexts ignored(kind, recorded, first);
    contexts.pool.resize(std::max(contexts.pool.size(), ignored.pool.size()), 0xff);
    Device device(kind, recorded.view(), contexts.pool, 512, 200);
    device.set_qkv(qkv);
    const cudaStream_t stream = test_stream();
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    weir::cuda::check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "a test");
    device.launch(stream);
    weir::cuda::check(cudaStreamEndCapture(stream, &graph), "a test");
    weir::cuda::check(cudaGraphInstantiate(&executable, graph, 0), "a test");
    device.set(replayed.view());
    for (int round = 0; round < 2; round++) weir::cuda::check(cudaGraphLaunch(executable, stream), "a test");
    std::vector<uint16_t> out = device.out();
    weir::cuda::check(cudaGraphExecDestroy(executable), "a test");
    weir::cuda::check(cudaGraphDestroy(graph), "a test");

    const int64_t row_size = int64_t{heads.query} * heads.size;
    CHECK(std::count(out.begin() + 3 * row_size, out.end(), 0xffff) == row_size);
    StepBatch batch = replayed.view();
    batch.tokens = 3;
    out.resize(3 * row_size);
    check_rows(kind, batch, contexts, qkv, out);
  }
}

TEST_CASE("cuda attention: sees what rope_append has written just before") {
  if (!has_cuda_device()) return;
  const std::vector<RandomBatch::Entry> entries = {{1, 1}, {33, 1}, {129, 1}, {20, 20}, {300, 1}, {90, 7}};
  for (const Heads& heads : {kPlain128, kGrouped64, kOdd}) {
    for (const ElementType kv : {ElementType::kF16, ElementType::kInt8}) {
      const Kind kind{heads, 16, ElementType::kF16, kv};
      const RandomBatch random(entries, kind.block_size, 100, 16);
      const StepBatch batch = random.view();
      const KvLayout layout = kind.shape().layout;
      Contexts contexts(kind, random, entries);
      // What this step is to write is not there yet.
      const auto forget = [&](int32_t block, int64_t tile, int32_t slot) {
        const int64_t bytes = int64_t{heads.size} * layout.element.bytes;
        std::fill_n(contexts.pool.begin() + layout.tile_offset(block, tile) + slot * bytes, bytes, 0xff);
        if (!layout.element.scaled) return;
        std::fill_n(contexts.pool.begin() + layout.scales_offset(block, tile) + slot * 4, 4, 0xff);
      };
      for (int32_t t = 0; t < batch.tokens; t++) {
        const int32_t block = random.block_tables[random.table_starts[batch.entry_of_token[t]] +
                                                  batch.positions[t] / kind.block_size];
        for (int32_t h = 0; h < heads.kv; h++) {
          forget(block, layout.key_tile_index(1, h), batch.positions[t] % kind.block_size);
          forget(block, layout.value_tile_index(1, h), batch.positions[t] % kind.block_size);
        }
      }
      const auto qkv = all_to_bits(kind.type, random_floats(batch.tokens * kind.columns(), 9));
      const DeviceArray<float> rotations(random_floats(int64_t{300} * heads.size, 10));
      const auto run = [&](bool wait) {
        Device device(kind, batch, contexts.pool, 512);
        device.set_qkv(qkv);
        device.append(rotations.data());
        if (wait) weir::cuda::check(cudaStreamSynchronize(test_stream()), "a test");
        device.launch(test_stream());
        return device.out();
      };
      const std::vector<uint16_t> apart = run(true);
      for (const float result : all_from_bits(kind.type, apart)) REQUIRE(std::isfinite(result));
      CHECK(run(false) == apart);
    }
  }
}

TEST_CASE("cuda attention: head sizes that there is nothing for") {
  if (!has_cuda_device()) return;
  for (const int32_t size : {7, 258}) {
    const Kind kind{{2, 2, size}};
    try {
      prepare_attention(kind.shape(), limits_for(kind, 1, 1, 100));
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.status() == WEIR_UNSUPPORTED);
    }
  }
}

TEST_CASE("cuda rope_append rotates halves and puts keys and values where the block table says") {
  if (!has_cuda_device()) return;
  const std::vector<RandomBatch::Entry> entries = {{40, 25}, {1, 1}, {17, 1}, {30, 30}};
  for (const Heads& heads : {kStories260K, kOdd, kPlain64, kGrouped128, kLlama7B}) {
    for (const Kind& kind : kinds_of(heads, heads.size == 10 ? 3 : 16)) {
      CAPTURE(heads.size);
      CAPTURE(static_cast<int>(kind.type));
      CAPTURE(static_cast<int>(kind.kv));
      RandomBatch random(entries, kind.block_size, 100, 21);
      // The row of the second entry is padding.
      const int32_t padded = random.query_starts[1];
      random.positions[padded] = -1;
      const StepBatch batch = random.view();
      const KvLayout layout = kind.shape().layout;
      const auto qkv = all_to_bits(kind.type, random_floats(batch.tokens * kind.columns(), 7));
      const auto rotations = random_floats(int64_t{64} * heads.size, 8);
      const BatchOnDevice on_device(batch);
      const DeviceArray<float> rotations_on_device(rotations);
      const DeviceArray<uint16_t> qkv_on_device(qkv);
      const DeviceArray<uint8_t> pool_on_device(static_cast<size_t>(random.blocks * layout.block_bytes()));
      rope_append(test_stream(), kind.shape(), on_device.view(), rotations_on_device.data(),
                  qkv_on_device.data(), pool_on_device.data(), batch.tokens);
      const std::vector<float> out = all_from_bits(kind.type, qkv_on_device.values());
      const std::vector<uint8_t> pool = pool_on_device.values();
      std::vector<bool> written(pool.size());
      const auto read = [&](int64_t offset, void* to, size_t bytes) {
        std::memcpy(to, pool.data() + offset, bytes);
        std::fill_n(written.begin() + offset, bytes, true);
      };
      // One head of the pool as numbers.
      const auto kept = [&](int32_t block, int64_t tile, int32_t slot) {
        std::vector<float> values(heads.size);
        float scale = 1;
        if (layout.element.scaled) read(layout.scales_offset(block, tile) + slot * 4, &scale, 4);
        for (int32_t i = 0; i < heads.size; i++) {
          const int64_t offset =
              layout.tile_offset(block, tile) + (int64_t{slot} * heads.size + i) * layout.element.bytes;
          if (layout.element.scaled) {
            uint8_t byte;
            read(offset, &byte, 1);
            values[i] = from_byte(kind.kv, byte) * scale;
          } else {
            uint16_t bits;
            read(offset, &bits, 2);
            values[i] = from_bits(kind.kv, bits);
          }
        }
        return values;
      };
      const double rounding = tolerance_of(kind.type);
      const double kept_rounding = kind.kv == ElementType::kInt8  ? 0.02
                                   : kind.kv == ElementType::kFp8 ? 0.04
                                                                  : rounding;

      for (int32_t t = 0; t < batch.tokens; t++) {
        CAPTURE(t);
        const std::vector<float> in = all_from_bits(
            kind.type, std::vector(qkv.begin() + t * kind.columns(), qkv.begin() + (t + 1) * kind.columns()));
        const std::span<const float> row = std::span(out).subspan(t * kind.columns(), kind.columns());
        if (t == padded) {
          REQUIRE(std::equal(in.begin(), in.end(), row.begin()));
          continue;
        }
        const int32_t position = batch.positions[t];
        std::vector<double> expected(in.begin(), in.end());
        for (int32_t h = 0; h < heads.query + heads.kv; h++) {
          for (int32_t i = 0; i < heads.size / 2; i++) {
            const double cosine = rotations[int64_t{position} * heads.size + 2 * i];
            const double sine = rotations[int64_t{position} * heads.size + 2 * i + 1];
            double& a = expected[h * heads.size + i];
            double& b = expected[h * heads.size + heads.size / 2 + i];
            const double rotated = a * cosine - b * sine;
            b = b * cosine + a * sine;
            a = rotated;
          }
        }
        REQUIRE(weir::test::relative_error(row, expected) < rounding);
        const int32_t block =
            random.block_tables[random.table_starts[batch.entry_of_token[t]] + position / kind.block_size];
        const int32_t slot = position % kind.block_size;
        for (int32_t h = 0; h < heads.kv; h++) {
          const auto head = [&](int32_t number) {
            return std::span<const double>(expected).subspan(number * heads.size, heads.size);
          };
          const auto keys = kept(block, layout.key_tile_index(1, h), slot);
          const auto values = kept(block, layout.value_tile_index(1, h), slot);
          REQUIRE(weir::test::relative_error(keys, head(heads.query + h)) < kept_rounding);
          REQUIRE(weir::test::relative_error(values, head(heads.query + heads.kv + h)) < kept_rounding);
        }
      }
      int64_t touched = 0;
      for (size_t i = 0; i < pool.size(); i++) touched += !written[i] && pool[i] != 0xff;
      CHECK(touched == 0);
    }
  }
}

TEST_CASE("cuda rope_append: a head of zeros is kept as zeros") {
  if (!has_cuda_device()) return;
  for (const ElementType kv : {ElementType::kInt8, ElementType::kFp8}) {
    for (const Heads& heads : {kPlain64, kOdd}) {
      const Kind kind{heads, 16, ElementType::kF16, kv};
      const RandomBatch random(std::vector<RandomBatch::Entry>{{1, 1}}, 16, 100, 22);
      const StepBatch batch = random.view();
      const KvLayout layout = kind.shape().layout;
      const BatchOnDevice on_device(batch);
      const DeviceArray<float> rotations(random_floats(heads.size, 8));
      const DeviceArray<uint16_t> qkv(std::vector<uint16_t>(kind.columns(), 0));
      const DeviceArray<uint8_t> pool(static_cast<size_t>(random.blocks * layout.block_bytes()));
      rope_append(test_stream(), kind.shape(), on_device.view(), rotations.data(), qkv.data(), pool.data(),
                  1);
      const std::vector<uint8_t> bytes = pool.values();
      const int32_t block = random.block_tables[0];
      for (int32_t h = 0; h < heads.kv; h++) {
        for (const int64_t tile : {layout.key_tile_index(1, h), layout.value_tile_index(1, h)}) {
          float scale;
          std::memcpy(&scale, bytes.data() + layout.scales_offset(block, tile), sizeof scale);
          CHECK(scale == 0);
          const auto first = bytes.begin() + layout.tile_offset(block, tile);
          CHECK(
              std::all_of(first, first + heads.size, [&](uint8_t byte) { return from_byte(kv, byte) == 0; }));
        }
      }
    }
  }
}
