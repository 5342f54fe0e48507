#include <doctest/doctest.h>

#include "operator_support.h"

using namespace weir;
using namespace weir::test;

TEST_CASE("matmul: against fp64, for every number of rows that has a kernel of its own or shares one") {
  struct Shape {
    int64_t in, out;
  };
  for (const NamedBackend& named : PresentBackends()) {
    for (const Shape shape : {Shape{64, 128}, Shape{172, 64}, Shape{1, 1}, Shape{17, 513}, Shape{256, 700}}) {
      const auto weight = random_floats(shape.in * shape.out, 1, 0.1f);
      const TensorView view = view_of(weight, shape.out, shape.in);
      WeightSource source;
      source.parts = {&view, 1};
      source.rows = shape.out;
      source.columns = shape.in;
      const auto matrix = named.backend->make_matrix(source);
      const auto context = named.backend->make_context(limits_of(8));
      for (const int64_t rows : {1, 2, 3, 16, 17, 33, 64, 65, 129, 300}) {
        CAPTURE(named.name);
        CAPTURE(shape.in);
        CAPTURE(shape.out);
        CAPTURE(rows);
        const auto x = random_floats(rows * shape.in, static_cast<uint32_t>(rows));
        const Tensor in(*named.backend, rows, shape.in, x);
        const Tensor out(*named.backend, rows, shape.out);
        context->matmul(*matrix, in.view(), out.view());
        std::vector<double> expected(rows * shape.out);
        for (int64_t r = 0; r < rows; r++) {
          for (int64_t o = 0; o < shape.out; o++) {
            for (int64_t i = 0; i < shape.in; i++) {
              expected[r * shape.out + o] +=
                  static_cast<double>(x[r * shape.in + i]) * weight[o * shape.in + i];
            }
          }
        }
        CHECK(relative_error(out.values(), expected) < kFp32Tolerance);
      }
    }
  }
}

TEST_CASE("matmul: fp32 in deterministic mode gives a row the same bits alone and in any company") {
  weir_device_options options{};
  options.threads = 2;
  options.precision = WEIR_PRECISION_FP32;
  options.flags = WEIR_DEVICE_DETERMINISTIC;
  const auto backend = open_backend(options);
  constexpr int64_t kIn = 1030;
  constexpr int64_t kOut = 200;
  const auto weight = random_floats(kIn * kOut, 1, 0.1f);
  const TensorView view = view_of(weight, kOut, kIn);
  WeightSource source;
  source.parts = {&view, 1};
  source.rows = kOut;
  source.columns = kIn;
  const auto matrix = backend->make_matrix(source);
  const auto context = backend->make_context(limits_of(8));
  const auto x = random_floats(300 * kIn, 2);
  const auto run = [&](int64_t rows) {
    const Tensor in(*backend, rows, kIn, std::span(x).subspan(0, rows * kIn));
    const Tensor out(*backend, rows, kOut);
    context->matmul(*matrix, in.view(), out.view());
    return std::vector<float>(out.values().begin(), out.values().end());
  };
  const std::vector<float> all = run(300);
  for (const int64_t rows : {1, 2, 3, 17, 64, 129}) {
    const std::vector<float> some = run(rows);
    CHECK(std::equal(some.begin(), some.end(), all.begin()));
  }
}

TEST_CASE("matmul: stacked weights are the projections one after another") {
  for (const NamedBackend& named : PresentBackends()) {
    const auto first = random_floats(3 * 8, 1);
    const auto second = random_floats(5 * 8, 2);
    const std::vector<TensorView> parts = {view_of(first, 3, 8), view_of(second, 5, 8)};
    WeightSource source;
    source.parts = parts;
    source.rows = 8;
    source.columns = 8;
    const auto matrix = named.backend->make_matrix(source);
    const auto x = random_floats(8, 3);
    const Tensor in(*named.backend, 1, 8, x);
    const Tensor out(*named.backend, 1, 8);
    named.backend->make_context(limits_of(8))->matmul(*matrix, in.view(), out.view());
    std::vector<double> expected(8);
    for (int o = 0; o < 8; o++) {
      const float* row = o < 3 ? &first[o * 8] : &second[(o - 3) * 8];
      for (int i = 0; i < 8; i++) expected[o] += static_cast<double>(x[i]) * row[i];
    }
    CHECK(relative_error(out.values(), expected) < kFp32Tolerance);
  }
}

TEST_CASE("random weights depend on the seed and the index alone and have the deviation asked for") {
  for (const NamedBackend& named : PresentBackends()) {
    const auto draw = [&](uint64_t seed, int64_t rows) {
      WeightSource source;
      source.rows = rows;
      source.columns = 1001;
      source.seed = seed;
      source.deviation = 0.02f;
      const auto table = named.backend->make_table(source);
      std::vector<int32_t> ids(rows);
      std::iota(ids.begin(), ids.end(), 0);
      StepBatch batch;
      batch.tokens = static_cast<int32_t>(rows);
      batch.token_ids = ids.data();
      const Tensor out(*named.backend, rows, 1001);
      named.backend->make_context(limits_of(8))->embed(batch, *table, out.view());
      const auto values = out.values();
      return std::vector<float>(values.begin(), values.end());
    };
    const std::vector<float> values = draw(7, 50);
    const std::vector<float> fewer = draw(7, 3);
    CHECK(std::equal(fewer.begin(), fewer.end(), values.begin()));
    CHECK(draw(8, 50) != values);
    double sum = 0;
    double squares = 0;
    for (const float value : values) {
      sum += value;
      squares += static_cast<double>(value) * value;
    }
    const double mean = sum / static_cast<double>(values.size());
    CHECK(std::fabs(mean) < 0.0005);
    CHECK(std::sqrt(squares / static_cast<double>(values.size()) - mean * mean) ==
          doctest::Approx(0.02).epsilon(0.02));
  }
}
