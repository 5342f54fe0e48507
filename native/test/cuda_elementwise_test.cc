#include "backend/cuda/operators.h"
#include "cuda_support.h"
#include "operator_support.h"

using namespace weir;
using namespace weir::test;

namespace {

// What is a multiple of 8 is computed in vectors, the rest element by element.
constexpr int64_t kColumns[] = {8, 10, 33, 64, 172, 1000, 4096, 5120, 8200, 11008};

template <typename T>
std::vector<T> random_elements(size_t count, uint32_t seed, float deviation = 1) {
  return rounded<T>(random_floats(count, seed, deviation));
}

// Each value is that of 64-bit arithmetic on the same inputs, but for the rounding to T and some in 32 bits.
template <typename T>
void check_rounded(const std::vector<T>& out, std::span<const double> expected) {
  REQUIRE(out.size() == expected.size());
  size_t wrong = 0;
  for (size_t i = 0; i < out.size(); i++) {
    const double error = std::fabs(to_float(out[i]) - expected[i]);
    // Half of the distance of subnormal numbers of fp16 is 2^-25.
    if (!(error <= (kRounding<T> + 4e-6) * std::fabs(expected[i]) + 0x1p-25)) wrong++;
  }
  CHECK(wrong == 0);
}

template <typename T>
void check_norms() {
  constexpr float kEpsilon = 1e-5f;
  constexpr int64_t kRows = 5;
  for (const int64_t columns : kColumns) {
    CAPTURE(columns);
    const uint32_t seed = static_cast<uint32_t>(columns);
    const size_t count = kRows * columns;
    std::vector<float> x = random_floats(count, seed, 3);
    // Squares far below epsilon, and zeros.
    for (int64_t i = 0; i < columns; i++) x[i] *= 1e-4f;
    for (int64_t i = columns; i < 2 * columns; i++) x[i] = 0;
    const std::vector<T> delta = random_elements<T>(count, seed + 1);
    const std::vector<float> gain = random_floats(columns, seed + 2);
    const DeviceArray<float> gain_on_device(gain);

    const DeviceArray<float> x_on_device(x);
    const DeviceArray<T> out(count);
    cuda::rms_norm(test_stream(), kTypeOf<T>, x_on_device.data(), gain_on_device.data(), kEpsilon, out.data(),
                   kRows, columns);
    const std::vector<double> wide(x.begin(), x.end());
    check_rounded(out.values(), expected_norm(wide, gain, kEpsilon, kRows, columns));
    CHECK(x_on_device.values() == x);

    const DeviceArray<float> residual(x);
    const DeviceArray<T> delta_on_device(delta);
    const DeviceArray<T> normed(count);
    cuda::add_rms_norm(test_stream(), kTypeOf<T>, residual.data(), delta_on_device.data(),
                       gain_on_device.data(), kEpsilon, normed.data(), kRows, columns);
    std::vector<float> sums = x;
    for (size_t i = 0; i < count; i++) sums[i] += to_float(delta[i]);
    CHECK(residual.values() == sums);
    const std::vector<double> wide_sums(sums.begin(), sums.end());
    const std::vector<T> together = normed.values();
    check_rounded(together, expected_norm(wide_sums, gain, kEpsilon, kRows, columns));

    for (int64_t r = 0; r < kRows; r += 2) {
      const DeviceArray<float> one_row(std::span<const float>(x).subspan(r * columns, columns));
      const DeviceArray<T> alone(columns);
      cuda::add_rms_norm(test_stream(), kTypeOf<T>, one_row.data(), delta_on_device.data() + r * columns,
                         gain_on_device.data(), kEpsilon, alone.data(), 1, columns);
      const std::vector<T> row = alone.values();
      CHECK(same_bits<T>(row, std::span<const T>(together).subspan(r * columns, columns)));
    }
  }
}

double silu_of(double x) { return x / (1 + std::exp(-x)); }

template <typename T>
void check_silu_multiply() {
  constexpr int64_t kRows = 3;
  for (const int64_t columns : kColumns) {
    CAPTURE(columns);
    std::vector<T> gate_up = random_elements<T>(kRows * 2 * columns, static_cast<uint32_t>(columns), 3);
    // Where e^-x overflows and where it vanishes.
    gate_up[0] = rounded<T>(-200);
    gate_up[1] = rounded<T>(200);
    gate_up[2] = rounded<T>(-88.5f);
    std::vector<double> expected;
    for (int64_t r = 0; r < kRows; r++) {
      for (int64_t i = 0; i < columns; i++) {
        const T* const row = &gate_up[r * 2 * columns];
        expected.push_back(silu_of(to_float(row[i])) * to_float(row[columns + i]));
      }
    }
    const DeviceArray<T> in(gate_up);
    const DeviceArray<T> out(kRows * columns);
    cuda::silu_multiply(test_stream(), kTypeOf<T>, in.data(), out.data(), kRows, columns);
    check_rounded(out.values(), expected);
  }
}

template <typename T>
void check_copies() {
  constexpr int64_t kVocabulary = 50;
  for (const int64_t columns : kColumns) {
    CAPTURE(columns);
    const std::vector<T> table = random_elements<T>(kVocabulary * columns, static_cast<uint32_t>(columns));
    const DeviceArray<T> table_on_device(table);
    const DeviceArray<int32_t> ids(std::vector<int32_t>{49, 0, 7, 7, 33});
    const DeviceArray<int32_t> rows(std::vector<int32_t>{41, 3, 3});
    cuda::DeviceBatch batch;
    batch.token_ids = ids.data();
    batch.sample_rows = rows.data();
    std::vector<float> expected;
    for (const int32_t id : ids.values()) {
      for (int64_t i = 0; i < columns; i++) expected.push_back(to_float(table[id * columns + i]));
    }
    const DeviceArray<float> residual(5 * columns);
    cuda::embed(test_stream(), kTypeOf<T>, batch, table_on_device.data(), residual.data(), 5, columns);
    CHECK(residual.values() == expected);

    const DeviceArray<T> gathered(3 * columns);
    cuda::gather_samples(test_stream(), kTypeOf<T>, batch, table_on_device.data(), gathered.data(), 3,
                         columns);
    const std::vector<T> copies = gathered.values();
    const std::vector<int32_t> from = rows.values();
    for (size_t r = 0; r < from.size(); r++) {
      CHECK(same_bits<T>(std::span<const T>(copies).subspan(r * columns, columns),
                         std::span<const T>(table).subspan(from[r] * columns, columns)));
    }
  }
}

}  // namespace

TEST_CASE("cuda: RMSNorm is that of 64 bits, and a row does not depend on the others") {
  if (!has_cuda_device()) return;
  check_norms<__half>();
  check_norms<__nv_bfloat16>();
}

TEST_CASE("cuda: SiLU times up is that of 64 bits") {
  if (!has_cuda_device()) return;
  check_silu_multiply<__half>();
  check_silu_multiply<__nv_bfloat16>();
}

TEST_CASE("cuda: embed and gather_samples copy rows") {
  if (!has_cuda_device()) return;
  check_copies<__half>();
  check_copies<__nv_bfloat16>();
}

TEST_CASE("cuda: operators on no rows do nothing") {
  if (!has_cuda_device()) return;
  const cuda::DeviceBatch batch;
  cuda::rms_norm(test_stream(), cuda::ElementType::kF16, nullptr, nullptr, 1e-5f, nullptr, 0, 64);
  cuda::add_rms_norm(test_stream(), cuda::ElementType::kF16, nullptr, nullptr, nullptr, 1e-5f, nullptr, 0,
                     64);
  cuda::silu_multiply(test_stream(), cuda::ElementType::kF16, nullptr, nullptr, 0, 64);
  cuda::embed(test_stream(), cuda::ElementType::kF16, batch, nullptr, nullptr, 0, 64);
  cuda::gather_samples(test_stream(), cuda::ElementType::kF16, batch, nullptr, nullptr, 0, 64);
  cuda::sample(test_stream(), {});
  CHECK(cudaDeviceSynchronize() == cudaSuccess);
}
