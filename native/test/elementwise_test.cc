// RMSNorm, RoPE with KV append, SiLU, embedding and row gathering.
#include <doctest/doctest.h>

#include "operator_support.h"

using namespace weir;
using namespace weir::test;

namespace {

std::unique_ptr<Weight> vector_weight(Backend& backend, std::span<const float> values) {
  const TensorView view = view_of(values, 1, static_cast<int64_t>(values.size()));
  WeightSource source;
  source.parts = {&view, 1};
  source.rows = 1;
  source.columns = static_cast<int64_t>(values.size());
  return backend.make_vector(source);
}

}  // namespace

TEST_CASE("rms_norm and add_rms_norm") {
  for (const NamedBackend& named : PresentBackends()) {
    CAPTURE(named.name);
    const auto context = named.backend->make_context(limits_of(8));
    for (const int64_t columns : {1, 7, 64, 4096}) {
      for (const int64_t rows : {1, 5, 40}) {
        const auto x = random_floats(rows * columns, 3);
        const auto delta = random_floats(rows * columns, 4);
        const auto gain = random_floats(columns, 5);
        const auto weight = vector_weight(*named.backend, gain);
        const float epsilon = 1e-5f;
        const std::vector<double> exact(x.begin(), x.end());

        const Tensor in(*named.backend, rows, columns, x);
        const Tensor out(*named.backend, rows, columns);
        context->rms_norm(in.view(), *weight, epsilon, out.view());
        CHECK(relative_error(out.values(), expected_norm(exact, gain, epsilon, rows, columns)) <
              kFp32Tolerance);

        std::vector<double> sum(x.size());
        for (size_t i = 0; i < x.size(); i++) sum[i] = static_cast<double>(x[i]) + delta[i];
        const Tensor added(*named.backend, rows, columns, delta);
        context->add_rms_norm(in.view(), added.view(), *weight, epsilon, out.view());
        CHECK(relative_error(in.values(), sum) < kFp32Tolerance);
        CHECK(relative_error(out.values(), expected_norm(sum, gain, epsilon, rows, columns)) <
              kFp32Tolerance);
      }
    }
  }
}

TEST_CASE("silu_multiply, also where exp overflows or vanishes") {
  for (const NamedBackend& named : PresentBackends()) {
    CAPTURE(named.name);
    const int64_t rows = 9;
    const int64_t columns = 5000;
    auto gate_up = random_floats(rows * 2 * columns, 6, 4);
    const float extremes[] = {0, -0.0f, 88, -88, 100, -100, 1000, -1000, 3e38f, -3e38f, 1e-40f, -1e-40f};
    std::copy(std::begin(extremes), std::end(extremes), gate_up.begin());
    std::fill_n(gate_up.begin() + columns, std::size(extremes), 1.0f);
    const Tensor in(*named.backend, rows, 2 * columns, gate_up);
    const Tensor out(*named.backend, rows, columns);
    named.backend->make_context(limits_of(8))->silu_multiply(in.view(), out.view());
    for (int64_t r = 0; r < rows; r++) {
      for (int64_t i = 0; i < columns; i++) {
        const double gate = gate_up[r * 2 * columns + i];
        const double expected = gate / (1 + std::exp(-gate)) * gate_up[r * 2 * columns + columns + i];
        const double error = std::fabs(out.values()[r * columns + i] - expected);
        REQUIRE(error <= 1e-6 * std::fabs(expected) + 1e-30);
      }
    }
  }
}

TEST_CASE("rope_append rotates halves and puts keys and values where the block table says") {
  struct Heads {
    int32_t query, kv, size;
  };
  const std::vector<RandomBatch::Entry> entries = {{40, 25}, {1, 1}, {17, 1}, {90, 90}};
  for (const Heads heads : {Heads{8, 4, 8}, Heads{32, 32, 128}, Heads{6, 2, 10}}) {
    for (const int32_t block_size : {1, 3, 16}) {
      const RandomBatch random(entries, block_size, 100, 21);
      const StepBatch batch = random.view();
      const int64_t columns = (int64_t{heads.query} + 2 * heads.kv) * heads.size;
      const auto qkv = random_floats(batch.tokens * columns, 7);
      const auto rotations = random_floats(int64_t{batch.longest_context} * heads.size, 8);
      const KvLayout layout{block_size, 3, heads.kv, heads.size, {}};
      for (const NamedBackend& named : PresentBackends()) {
        CAPTURE(named.name);
        const auto pool = named.backend->make_pool(layout, random.blocks, 0);
        float* data = static_cast<float*>(pool->data());
        const float untouched = 12345;
        std::fill_n(data, random.blocks * layout.block_elements(), untouched);
        const TensorView view = view_of(rotations, batch.longest_context, heads.size);
        WeightSource source;
        source.parts = {&view, 1};
        source.rows = batch.longest_context;
        source.columns = heads.size;
        const auto table = named.backend->make_table(source);
        const Tensor in(*named.backend, batch.tokens, columns, qkv);
        named.backend->make_context(limits_of(8))
            ->rope_append(batch, 2, heads.query, *table, in.view(), *pool);

        int64_t written = 0;
        for (int32_t t = 0; t < batch.tokens; t++) {
          const int32_t position = batch.positions[t];
          std::vector<double> row(qkv.begin() + t * columns, qkv.begin() + (t + 1) * columns);
          for (int32_t h = 0; h < heads.query + heads.kv; h++) {
            for (int32_t i = 0; i < heads.size / 2; i++) {
              const double cosine = rotations[int64_t{position} * heads.size + 2 * i];
              const double sine = rotations[int64_t{position} * heads.size + 2 * i + 1];
              double& a = row[h * heads.size + i];
              double& b = row[h * heads.size + heads.size / 2 + i];
              const double rotated = a * cosine - b * sine;
              b = b * cosine + a * sine;
              a = rotated;
            }
          }
          const std::span<const float> out = in.values().subspan(t * columns, columns);
          REQUIRE(relative_error(out, row) < kFp32Tolerance);
          const int32_t block =
              random.block_tables[random.table_starts[batch.entry_of_token[t]] + position / block_size];
          for (int32_t h = 0; h < heads.kv; h++) {
            for (int32_t i = 0; i < heads.size; i++) {
              const int64_t slot = int64_t{position % block_size} * heads.size + i;
              REQUIRE(data[layout.key_tile(block, 2, h) + slot] == out[(heads.query + h) * heads.size + i]);
              REQUIRE(data[layout.value_tile(block, 2, h) + slot] ==
                      out[(heads.query + heads.kv + h) * heads.size + i]);
              written += 2;
            }
          }
        }
        const int64_t all = random.blocks * layout.block_elements();
        CHECK(std::count(data, data + all, untouched) == all - written);
      }
    }
  }
}

TEST_CASE("embed and gather_samples copy rows") {
  for (const NamedBackend& named : PresentBackends()) {
    const auto table = random_floats(100 * 33, 9);
    const TensorView view = view_of(table, 100, 33);
    WeightSource source;
    source.parts = {&view, 1};
    source.rows = 100;
    source.columns = 33;
    const auto weight = named.backend->make_table(source);
    const std::vector<int32_t> ids = {99, 0, 5, 5, 42};
    StepBatch batch;
    batch.tokens = static_cast<int32_t>(ids.size());
    batch.token_ids = ids.data();
    const Tensor out(*named.backend, 5, 33);
    const auto context = named.backend->make_context(limits_of(100));
    context->embed(batch, *weight, out.view());
    for (size_t r = 0; r < ids.size(); r++) {
      CHECK(std::equal(&table[ids[r] * 33], &table[ids[r] * 33] + 33, out.data() + r * 33));
    }
    const std::vector<int32_t> rows = {4, 1};
    batch.samples = static_cast<int32_t>(rows.size());
    batch.sample_rows = rows.data();
    const Tensor gathered(*named.backend, 2, 33);
    context->gather_samples(batch, out.view(), gathered.view());
    CHECK(std::equal(&table[42 * 33], &table[42 * 33] + 33, gathered.data()));
    CHECK(std::equal(&table[0], &table[33], gathered.data() + 33));
    std::vector<float> row(33);
    context->read_row(out.view(), 0, row.data());
    CHECK(std::equal(row.begin(), row.end(), &table[99 * 33]));
  }
}
