// Multiplications in bfloat16 and 8-bit integers, through the backend.
#include <doctest/doctest.h>

#include <cstring>

#include "backend/cpu/avx512/matmul.h"
#include "backend/cpu/avx512/target.h"
#include "backend/cpu/bfloat16.h"
#include "operator_support.h"

using namespace weir;
using namespace weir::test;

namespace {

using cpu::Bfloat16;

struct Shape {
  int64_t in, out;
};

// Whole blocks and slabs, what is left of them, one column, one input, odd inputs.
constexpr Shape kShapes[] = {{64, 128}, {172, 64}, {1, 1}, {17, 513}, {256, 700}, {2048, 320}, {1030, 65}};
constexpr int64_t kRows[] = {1, 2, 3, 4, 5, 6, 7, 12, 13, 18, 19, 24, 25, 64, 127, 128, 129, 300};

std::unique_ptr<Backend> open(weir_precision precision, int32_t threads, int32_t flags = 0) {
  weir_device_options options{};
  options.threads = threads;
  options.precision = precision;
  options.flags = flags;
  return open_backend(options);
}

std::unique_ptr<Weight> make_matrix(Backend& backend, std::span<const float> weight, const Shape& shape) {
  const TensorView view = view_of(weight, shape.out, shape.in);
  WeightSource source;
  source.parts = {&view, 1};
  source.rows = shape.out;
  source.columns = shape.in;
  return backend.make_matrix(source);
}

std::vector<Bfloat16> rounded(std::span<const float> values) {
  std::vector<Bfloat16> result;
  for (const float value : values) result.push_back(cpu::to_bfloat16(value));
  return result;
}

// The rows of x through a matrix of a backend in bf16 (Input = Bfloat16) or int8 (Input = float).
template <typename Input>
std::vector<float> multiply(Context& context, const Weight& weight, std::vector<Input> x, int64_t rows,
                            const Shape& shape) {
  std::vector<float> out(rows * shape.out, std::numeric_limits<float>::quiet_NaN());
  context.matmul(weight, {x.data(), rows, shape.in}, {out.data(), rows, shape.out});
  return out;
}

std::vector<double> product(std::span<const double> weight, std::span<const double> x, int64_t rows,
                            const Shape& shape) {
  std::vector<double> out(rows * shape.out);
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t o = 0; o < shape.out; o++) {
      for (int64_t i = 0; i < shape.in; i++)
        out[r * shape.out + o] += x[r * shape.in + i] * weight[o * shape.in + i];
    }
  }
  return out;
}

// The nearest multiple of the largest magnitude over 127, row by row.
std::vector<double> quantized(std::span<const float> values, int64_t columns) {
  std::vector<double> result;
  for (size_t row = 0; row < values.size(); row += columns) {
    float largest = 0;
    for (int64_t i = 0; i < columns; i++) largest = std::max(largest, std::fabs(values[row + i]));
    const float inverse = largest > 0 ? 127 / largest : 0;
    for (int64_t i = 0; i < columns; i++) {
      result.push_back(std::nearbyint(values[row + i] * inverse) * (static_cast<double>(largest) / 127));
    }
  }
  return result;
}

}  // namespace

TEST_CASE("packed matmul: bf16 is the fp64 product of the rounded numbers, up to fp32 sums") {
  if (!has_avx512()) return;
  const SharedWork shared_work;
  for (const int32_t threads : {1, 2, 3}) {
    const auto backend = open(WEIR_PRECISION_BF16, threads);
    for (const Shape& shape : kShapes) {
      const auto weight = random_floats(shape.in * shape.out, 1, 0.1f);
      const auto matrix = make_matrix(*backend, weight, shape);
      const auto context = backend->make_context(limits_of(8));
      std::vector<double> exact_weight;
      for (const Bfloat16 w : rounded(weight)) exact_weight.push_back(cpu::to_float(w));
      for (const int64_t rows : kRows) {
        CAPTURE(threads);
        CAPTURE(shape.in);
        CAPTURE(shape.out);
        CAPTURE(rows);
        const auto x = rounded(random_floats(rows * shape.in, static_cast<uint32_t>(rows)));
        std::vector<double> exact_x;
        for (const Bfloat16 value : x) exact_x.push_back(cpu::to_float(value));
        CHECK(relative_error(multiply(*context, *matrix, x, rows, shape),
                             product(exact_weight, exact_x, rows, shape)) < kFp32Tolerance);
      }
    }
  }
}

TEST_CASE("packed matmul: int8 is the fp64 product of the quantized numbers") {
  if (!has_avx512()) return;
  const SharedWork shared_work;
  for (const int32_t threads : {1, 3}) {
    const auto backend = open(WEIR_PRECISION_INT8, threads);
    for (const Shape& shape : kShapes) {
      const auto weight = random_floats(shape.in * shape.out, 1, 0.1f);
      const auto matrix = make_matrix(*backend, weight, shape);
      const auto context = backend->make_context(limits_of(8));
      for (const int64_t rows : kRows) {
        CAPTURE(threads);
        CAPTURE(shape.in);
        CAPTURE(shape.out);
        CAPTURE(rows);
        const auto x = random_floats(rows * shape.in, static_cast<uint32_t>(rows));
        CHECK(relative_error(multiply(*context, *matrix, x, rows, shape),
                             product(quantized(weight, shape.in), quantized(x, shape.in), rows, shape)) <
              kFp32Tolerance);
      }
    }
  }
}

TEST_CASE("packed matmul: int8 passes on what is not finite, wherever it is") {
  if (!has_avx512()) return;
  const auto backend = open(WEIR_PRECISION_INT8, 1);
  const Shape shape{70, 66};
  const auto good_weight = random_floats(shape.in * shape.out, 1);
  const auto good_x = random_floats(shape.in, 2);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    for (const int64_t at : {0, 1, 15, 16, 33, 64, 69}) {
      auto x = good_x;
      x[at] = bad;
      const auto matrix = make_matrix(*backend, good_weight, shape);
      for (const float out : multiply(*backend->make_context(limits_of(8)), *matrix, x, 1, shape))
        CHECK_FALSE(std::isfinite(out));
      auto weight = good_weight;
      weight[65 * shape.in + at] = bad;
      const auto bad_matrix = make_matrix(*backend, weight, shape);
      const auto out = multiply(*backend->make_context(limits_of(8)), *bad_matrix, good_x, 1, shape);
      CHECK_FALSE(std::isfinite(out[65]));
      for (int i = 0; i < 65; i++) CHECK(std::isfinite(out[i]));
    }
  }
}

TEST_CASE("packed matmul: int8 of numbers so small that their scale has no inverse is zero") {
  if (!has_avx512()) return;
  const auto backend = open(WEIR_PRECISION_INT8, 1);
  const Shape shape{70, 3};
  const auto matrix = make_matrix(*backend, std::vector<float>(shape.in * shape.out, 1e-38f), shape);
  for (const float out :
       multiply(*backend->make_context(limits_of(8)), *matrix, random_floats(shape.in, 2), 1, shape)) {
    CHECK(out == 0);
  }
}

TEST_CASE("packed matmul: int8 of zeros is zero, and one input alone sets the scale") {
  if (!has_avx512()) return;
  const auto backend = open(WEIR_PRECISION_INT8, 1);
  const Shape shape{70, 3};
  std::vector<float> weight(shape.in * shape.out, 0);
  weight[2 * shape.in + 69] = -3;
  const auto matrix = make_matrix(*backend, weight, shape);
  std::vector<float> x(2 * shape.in, 0);
  x[shape.in + 69] = 5;
  const auto out = multiply(*backend->make_context(limits_of(8)), *matrix, x, 2, shape);
  CHECK(out[5] == doctest::Approx(-15));
  for (const int i : {0, 1, 2, 3, 4}) CHECK(out[i] == 0);
}

TEST_CASE("packed matmul: a row has the same bits alone, in any company, and on any number of threads") {
  if (!has_avx512()) return;
  const SharedWork shared_work;
  constexpr Shape kShape{2048, 700};
  constexpr int64_t kMost = 300;
  const auto weight = random_floats(kShape.in * kShape.out, 1, 0.1f);
  const auto x = random_floats(kMost * kShape.in, 2);
  for (const weir_precision precision : {WEIR_PRECISION_BF16, WEIR_PRECISION_INT8}) {
    // Row by row.
    std::vector<float> alone;
    for (const int32_t flags : {static_cast<int32_t>(WEIR_DEVICE_DETERMINISTIC), 0}) {
      for (const int32_t threads : {1, 2, 4}) {
        const auto backend = open(precision, threads, flags);
        const auto matrix = make_matrix(*backend, weight, kShape);
        const auto context = backend->make_context(limits_of(8));
        const auto run = [&](int64_t first, int64_t rows) {
          const std::vector<float> some(x.begin() + first * kShape.in,
                                        x.begin() + (first + rows) * kShape.in);
          return precision == WEIR_PRECISION_BF16 ? multiply(*context, *matrix, rounded(some), rows, kShape)
                                                  : multiply(*context, *matrix, some, rows, kShape);
        };
        if (alone.empty()) {
          for (int64_t row = 0; row < kMost; row++) {
            const auto out = run(row, 1);
            alone.insert(alone.end(), out.begin(), out.end());
          }
        }
        for (const int64_t rows : kRows) {
          // From 128 rows on bf16 goes to oneDNN, which adds up in another order, unless the mode is
          // deterministic.
          if (flags == 0 && precision == WEIR_PRECISION_BF16 && rows >= 128) continue;
          CAPTURE(precision);
          CAPTURE(flags);
          CAPTURE(threads);
          CAPTURE(rows);
          const int64_t first = kMost - rows;
          const auto out = run(first, rows);
          CHECK(std::memcmp(out.data(), alone.data() + first * kShape.out, out.size() * sizeof(float)) == 0);
        }
      }
    }
  }
}

TEST_CASE("packed matmul: a matrix gives its rows back as embeddings") {
  if (!has_avx512()) return;
  const auto backend = open(WEIR_PRECISION_BF16, 2);
  CHECK(backend->embeds_from_matrices());
  for (const Shape& shape : kShapes) {
    const auto weight = random_floats(shape.in * shape.out, 1, 0.1f);
    const auto matrix = make_matrix(*backend, weight, shape);
    std::vector<int32_t> ids = {0, static_cast<int32_t>(shape.out - 1), static_cast<int32_t>(shape.out / 2)};
    StepBatch batch;
    batch.tokens = 3;
    batch.token_ids = ids.data();
    std::vector<float> out(3 * shape.in);
    backend->make_context(limits_of(8))->embed(batch, *matrix, {out.data(), 3, shape.in});
    for (int r = 0; r < 3; r++) {
      for (int64_t i = 0; i < shape.in; i++) {
        CHECK(out[r * shape.in + i] == cpu::to_float(cpu::to_bfloat16(weight[ids[r] * shape.in + i])));
      }
    }
  }
}

TEST_CASE("bfloat16: rounds to the nearest, ties to even, and keeps infinities and NaNs") {
  CHECK(cpu::to_bfloat16(1.0f).bits == 0x3F80);
  CHECK(cpu::to_bfloat16(1.00390625f).bits == 0x3F80);  // half way, down to even
  CHECK(cpu::to_bfloat16(1.01171875f).bits == 0x3F82);  // half way, up to even
  CHECK(cpu::to_bfloat16(std::numeric_limits<float>::infinity()).bits == 0x7F80);
  CHECK(std::isnan(cpu::to_float(cpu::to_bfloat16(std::numeric_limits<float>::quiet_NaN()))));
  for (uint32_t bits = 0; bits < 0x10000; bits++) {
    const Bfloat16 value{static_cast<uint16_t>(bits)};
    const float wide = cpu::to_float(value);
    if (!std::isnan(wide)) CHECK(cpu::to_bfloat16(wide).bits == bits);
  }
}
