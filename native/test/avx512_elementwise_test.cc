// RMSNorm, RoPE with KV append and SiLU in bfloat16.
#include <doctest/doctest.h>

#include "backend/cpu/avx512/operators.h"
#include "backend/cpu/avx512/target.h"
#include "operator_support.h"

#if defined(WEIR_HAS_AVX512)

using namespace weir;
using namespace weir::test;
using cpu::Bfloat16;

namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr Bfloat16 kBfloat16NaN{0x7FC0};

bool rounded(std::span<const Bfloat16> out, std::span<const float> of) {
  return std::equal(out.begin(), out.end(), of.begin(), of.end(),
                    [](Bfloat16 a, float b) { return a.bits == cpu::to_bfloat16(b).bits; });
}

}  // namespace

TEST_CASE("avx512 rms_norm and add_rms_norm; each row by itself gives the same bits") {
  if (!has_avx512()) return;
  const SharedWork shared_work;
  const float epsilon = 1e-5f;
  for (const int threads : {1, 2, 3, 4}) {
    CAPTURE(threads);
    cpu::ThreadPool pool(threads, false);
    for (const int64_t columns : {1, 7, 16, 63, 64, 100, 4096}) {
      for (const int64_t rows : {1, 5, 40}) {
        CAPTURE(columns);
        CAPTURE(rows);
        const size_t count = rows * columns;
        const auto x = random_floats(count, 3);
        const auto delta = random_floats(count, 4);
        const auto gain = random_floats(columns, 5);
        std::vector<float> out(count, kNaN);
        std::vector<Bfloat16> out16(count, kBfloat16NaN);
        cpu::avx512::rms_norm(x.data(), gain.data(), epsilon, rows, columns, out.data(), pool);
        const std::vector<double> exact(x.begin(), x.end());
        CHECK(relative_error(out, expected_norm(exact, gain, epsilon, rows, columns)) < kFp32Tolerance);
        cpu::avx512::rms_norm(x.data(), gain.data(), epsilon, rows, columns, out16.data(), pool);
        CHECK(rounded(out16, out));

        std::vector<double> sum(count);
        for (size_t i = 0; i < count; i++) sum[i] = static_cast<double>(x[i]) + delta[i];
        std::vector<float> residual = x;
        std::vector<float> added(count, kNaN);
        cpu::avx512::add_rms_norm(residual.data(), delta.data(), gain.data(), epsilon, rows, columns,
                                  added.data(), pool);
        CHECK(relative_error(residual, sum) < kFp32Tolerance);
        CHECK(relative_error(added, expected_norm(sum, gain, epsilon, rows, columns)) < kFp32Tolerance);
        residual = x;
        std::fill(out16.begin(), out16.end(), kBfloat16NaN);
        cpu::avx512::add_rms_norm(residual.data(), delta.data(), gain.data(), epsilon, rows, columns,
                                  out16.data(), pool);
        CHECK(rounded(out16, added));

        for (int64_t r = 0; r < rows; r++) {
          std::vector<float> alone(columns);
          cpu::avx512::rms_norm(x.data() + r * columns, gain.data(), epsilon, 1, columns, alone.data(), pool);
          REQUIRE(std::memcmp(alone.data(), out.data() + r * columns, columns * sizeof(float)) == 0);
          std::vector<float> alone_residual(x.begin() + r * columns, x.begin() + (r + 1) * columns);
          cpu::avx512::add_rms_norm(alone_residual.data(), delta.data() + r * columns, gain.data(), epsilon,
                                    1, columns, alone.data(), pool);
          REQUIRE(std::memcmp(alone.data(), added.data() + r * columns, columns * sizeof(float)) == 0);
        }
      }
    }
  }
}

TEST_CASE("avx512 silu_multiply, also where exp overflows or vanishes") {
  if (!has_avx512()) return;
  const SharedWork shared_work;
  const int64_t rows = 9;
  for (const int64_t columns : {20, 5000}) {
    auto gate_up = random_floats(rows * 2 * columns, 6, 4);
    const float extremes[] = {0,    -0.0f, 88,    -88,    100,    -100,    89,     -89,
                              1000, -1000, 3e38f, -3e38f, 1e-37f, -1e-37f, -87.5f, -104};
    std::copy(std::begin(extremes), std::end(extremes), gate_up.begin());
    std::fill_n(gate_up.begin() + columns, std::size(extremes), 1.0f);
    for (const int threads : {1, 2, 3, 4}) {
      CAPTURE(threads);
      cpu::ThreadPool pool(threads, false);
      std::vector<float> out(rows * columns, kNaN);
      cpu::avx512::silu_multiply(gate_up.data(), rows, columns, out.data(), pool);
      for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < columns; i++) {
          const double gate = gate_up[r * 2 * columns + i];
          const double expected = gate / (1 + std::exp(-gate)) * gate_up[r * 2 * columns + columns + i];
          const double error = std::fabs(out[r * columns + i] - expected);
          // Where e^-gate overflows, the result is zero.
          REQUIRE(error <= 1e-6 * std::fabs(expected) + 1e-36);
        }
      }
      std::vector<Bfloat16> out16(rows * columns, kBfloat16NaN);
      cpu::avx512::silu_multiply(gate_up.data(), rows, columns, out16.data(), pool);
      for (size_t i = 0; i < out.size(); i++) {
        // What is subnormal may become zero.
        if (std::fabs(out[i]) >= std::numeric_limits<float>::min()) {
          REQUIRE(out16[i].bits == cpu::to_bfloat16(out[i]).bits);
        } else {
          REQUIRE(std::fabs(cpu::to_float(out16[i])) <= std::numeric_limits<float>::min());
        }
      }
    }
  }
}

TEST_CASE("avx512 silu_multiply passes a NaN on") {
  if (!has_avx512()) return;
  cpu::ThreadPool pool(1, false);
  const float gate_up[] = {kNaN, 1, 1, 2, 3, kNaN};
  float out[3];
  cpu::avx512::silu_multiply(gate_up, 1, 3, out, pool);
  CHECK(std::isnan(out[0]));
  CHECK(out[1] == doctest::Approx(3 / (1 + std::exp(-1.0))));
  CHECK(std::isnan(out[2]));
}

TEST_CASE("avx512 rope_append rotates halves and puts keys and values where the block table says") {
  if (!has_avx512()) return;
  const SharedWork shared_work;
  struct Heads {
    int32_t query, kv, size;
  };
  constexpr int32_t kLayer = 2;
  const std::vector<RandomBatch::Entry> entries = {{40, 25}, {1, 1}, {17, 1}, {90, 90}};
  for (const Heads heads : {Heads{8, 4, 8}, Heads{32, 32, 128}, Heads{32, 4, 64}, Heads{6, 2, 10},
                            Heads{2, 2, 2}, Heads{4, 2, 48}}) {
    for (const int32_t block_size : {1, 3, 16}) {
      CAPTURE(heads.size);
      CAPTURE(block_size);
      const RandomBatch random(entries, block_size, 100, 21);
      const StepBatch batch = random.view();
      const int64_t columns = (int64_t{heads.query} + 2 * heads.kv) * heads.size;
      const auto qkv = random_floats(batch.tokens * columns, 7);
      const auto rotations = random_floats(int64_t{batch.longest_context} * heads.size, 8);
      const KvLayout layout{block_size, 3, heads.kv, heads.size, {WEIR_PRECISION_BF16, 2, false}};
      for (const int threads : {1, 2, 3, 4}) {
        CAPTURE(threads);
        cpu::ThreadPool workers(threads, false);
        const Bfloat16 untouched{0x1234};
        std::vector<Bfloat16> pool(random.blocks * layout.block_elements(), untouched);
        std::vector<float> rotated = qkv;
        cpu::avx512::rope_append(batch, kLayer, heads.query, rotations.data(), rotated.data(), layout,
                                 pool.data(), workers);

        std::vector<bool> written(pool.size());
        for (int32_t t = 0; t < batch.tokens; t++) {
          const int32_t position = batch.positions[t];
          const int32_t block =
              random.block_tables[random.table_starts[batch.entry_of_token[t]] + position / block_size];
          const int32_t slot = position % block_size;
          const float* rotation = &rotations[int64_t{position} * heads.size];
          const int32_t half = heads.size / 2;
          for (int32_t h = 0; h < heads.query + heads.kv; h++) {
            const float* from = &qkv[t * columns + h * heads.size];
            const float* got = &rotated[t * columns + h * heads.size];
            for (int32_t i = 0; i < heads.size; i++) {
              const double a = from[i % half];
              const double b = from[i % half + half];
              const double cosine = rotation[2 * (i % half)];
              const double sine = rotation[2 * (i % half) + 1];
              const double expected = i < half ? a * cosine - b * sine : b * cosine + a * sine;
              const double magnitude = std::fabs(a) + std::fabs(b);
              REQUIRE(std::fabs(got[i] - expected) <= 1e-6 * magnitude);
              if (h < heads.query) continue;
              const int64_t at = layout.key_tile(block, kLayer, h - heads.query) +
                                 cpu::avx512::key_offset(block_size, slot, i);
              REQUIRE(pool[at].bits == cpu::to_bfloat16(got[i]).bits);
              written[at] = true;
            }
          }
          for (int32_t h = 0; h < heads.kv; h++) {
            for (int32_t i = 0; i < heads.size; i++) {
              const int64_t at = layout.value_tile(block, kLayer, h) + int64_t{slot} * heads.size + i;
              const int64_t in = t * columns + (heads.query + heads.kv + h) * heads.size + i;
              REQUIRE(rotated[in] == qkv[in]);
              REQUIRE(pool[at].bits == cpu::to_bfloat16(qkv[in]).bits);
              written[at] = true;
            }
          }
        }
        int64_t strays = 0;
        for (size_t i = 0; i < pool.size(); i++) strays += !written[i] && pool[i].bits != untouched.bits;
        CHECK(strays == 0);
      }
    }
  }
}

#endif
