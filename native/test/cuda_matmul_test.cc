#include <cuda_runtime_api.h>

#include <optional>

#include "backend/cuda/device.h"
#include "backend/cuda/matmul.h"
#include "backend/cuda/memory.h"
#include "backend/cuda/operators.h"
#include "backend/cuda/weights.h"
#include "core/error.h"
#include "cuda_support.h"
#include "operator_support.h"

#if defined(WEIR_EMULATED)
#include "emulator/control.h"
#endif

using namespace weir;
using namespace weir::test;

namespace {

struct Size {
  int64_t out;
  int64_t in;
};

// Whole tiles, parts of tiles, fewer inputs than slices, inputs that are no multiple of 8 or even odd, and
// those of the small test model.
constexpr Size kSizes[] = {{64, 256}, {40, 512}, {17, 72}, {33, 8},   {192, 64}, {64, 172},
                           {344, 64}, {10, 33},  {7, 1},   {5, 1040}, {130, 328}};
constexpr int64_t kRows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 33, 64, 65, 130};

// Random operands, and what 64-bit arithmetic makes of them.
template <typename T>
struct Product {
  Product(Size size, int64_t rows)
      : weight(rounded<T>(random_floats(size.out * size.in, static_cast<uint32_t>(size.out + 7 * size.in)))),
        x(rounded<T>(random_floats(rows * size.in, static_cast<uint32_t>(rows + 3 * size.in)))),
        weight_on_device(weight),
        x_on_device(x),
        expected(rows * size.out),
        magnitude(rows * size.out) {
    const std::vector<float> w = to_floats(weight);
    const std::vector<float> in = to_floats(x);
    for (int64_t r = 0; r < rows; r++) {
      for (int64_t n = 0; n < size.out; n++) {
        for (int64_t k = 0; k < size.in; k++) {
          const double product = static_cast<double>(w[n * size.in + k]) * in[r * size.in + k];
          expected[r * size.out + n] += product;
          magnitude[r * size.out + n] += std::fabs(product);
        }
      }
    }
  }

  std::vector<T> weight;
  std::vector<T> x;
  DeviceArray<T> weight_on_device;
  DeviceArray<T> x_on_device;
  std::vector<double> expected;
  std::vector<double> magnitude;  // sums of absolute products: what rounding errors of sums are measured by
};

// Sums in 32-bit floats, and one rounding to the type of the output.
template <typename T>
bool is_product(const Product<T>& product, std::span<const float> out, double rounding) {
  REQUIRE(out.size() == product.expected.size());
  for (size_t i = 0; i < out.size(); i++) {
    const double error = std::fabs(out[i] - product.expected[i]);
    const double allowed = 2e-6 * product.magnitude[i] + rounding * std::fabs(product.expected[i]) + 0x1p-24;
    if (!(error <= allowed)) return false;
  }
  return true;
}

using Kernel = decltype(&cuda::tiled_matmul);

struct NamedKernel {
  const char* name;
  Kernel run;
  int64_t most_rows;
  int64_t multiple;  // of inputs
};

const NamedKernel kKernels[] = {
    {"streaming", cuda::streaming_matmul, cuda::kStreamedRows, 1},
    {"skinny", cuda::skinny_matmul, cuda::kSkinnyRows, cuda::kSkinnyMultiple},
    {"tiled", cuda::tiled_matmul, 1 << 20, 1},
};

template <typename T>
void check_kernels() {
  for (const Size size : kSizes) {
    for (const int64_t rows : kRows) {
      // The emulator is slow.
      if (rows > 64 && size.out * size.in > 20000) continue;
      CAPTURE(size.out);
      CAPTURE(size.in);
      CAPTURE(rows);
      const Product<T> product(size, rows);
      for (const NamedKernel& kernel : kKernels) {
        if (rows > kernel.most_rows || size.in % kernel.multiple != 0) continue;
        CAPTURE(std::string(kernel.name));
        const DeviceArray<T> out(rows * size.out);
        kernel.run(test_stream(), kTypeOf<T>, product.weight_on_device.data(), size.out, size.in,
                   product.x_on_device.data(), rows, out.data(), kTypeOf<T>);
        CHECK(is_product<T>(product, to_floats(out.values()), kRounding<T>));

        const DeviceArray<float> logits(rows * size.out);
        kernel.run(test_stream(), kTypeOf<T>, product.weight_on_device.data(), size.out, size.in,
                   product.x_on_device.data(), rows, logits.data(), cuda::ElementType::kF32);
        CHECK(is_product<T>(product, logits.values(), 0));
      }
    }
  }
}

// The sums of row `row` of x as each kernel computes them when there are `rows` rows from `first` on.
template <typename T>
std::vector<float> sums_of_row(const NamedKernel& kernel, const Product<T>& product, Size size, int64_t first,
                               int64_t rows, int64_t row) {
  const DeviceArray<T> x(std::span<const T>(product.x).subspan(first * size.in, rows * size.in));
  const DeviceArray<float> out(rows * size.out);
  kernel.run(test_stream(), kTypeOf<T>, product.weight_on_device.data(), size.out, size.in, x.data(), rows,
             out.data(), cuda::ElementType::kF32);
  const std::vector<float> all = out.values();
  const auto begin = all.begin() + (row - first) * size.out;
  return {begin, begin + size.out};
}

template <typename T>
void check_invariance() {
  constexpr int64_t kAll = 130;
  constexpr int64_t kRow = 5;
  for (const Size size : {Size{40, 512}, Size{17, 72}, Size{130, 328}, Size{24, 172}, Size{9, 4096}}) {
    CAPTURE(size.in);
    const Product<T> product(size, kAll);
    const std::vector<float> tensor_cores = sums_of_row(kKernels[2], product, size, 0, kAll, kRow);
    for (const NamedKernel& kernel : kKernels) {
      if (size.in % kernel.multiple != 0) continue;
      CAPTURE(std::string(kernel.name));
      std::optional<std::vector<float>> alone;
      for (const int64_t rows : kRows) {
        if (rows > kernel.most_rows) break;
        CAPTURE(rows);
        // First and last of the rows.
        for (const int64_t first : {kRow, std::max<int64_t>(0, kRow + 1 - rows)}) {
          if (first + rows > kAll) continue;
          const std::vector<float> sums = sums_of_row(kernel, product, size, first, rows, kRow);
          if (!alone) alone = sums;
          CHECK(same_bits<float>(sums, *alone));
          if (kernel.run != cuda::streaming_matmul) CHECK(same_bits<float>(sums, tensor_cores));
        }
      }
    }
  }
}

// Own kernels that do all of a gated multiplication, against the same in two steps.
template <typename T>
void check_gated() {
  for (const Size size : {Size{172, 64}, Size{40, 512}, Size{9, 33}, Size{16, 8}}) {
    for (const int64_t rows : {1, 2, 3, 4, 5, 8, 9, 16, 31, 64}) {
      CAPTURE(size.out);
      CAPTURE(rows);
      const Product<T> product({2 * size.out, size.in}, rows);
      const auto in_two_steps = [&](Kernel kernel) {
        const DeviceArray<T> both(rows * 2 * size.out);
        const DeviceArray<T> out(rows * size.out);
        kernel(test_stream(), kTypeOf<T>, product.weight_on_device.data(), 2 * size.out, size.in,
               product.x_on_device.data(), rows, both.data(), kTypeOf<T>);
        cuda::silu_multiply(test_stream(), kTypeOf<T>, both.data(), out.data(), rows, size.out);
        return out.values();
      };
      if (rows <= cuda::kStreamedRows) {
        const DeviceArray<T> out(rows * size.out);
        cuda::streaming_gated_matmul(test_stream(), kTypeOf<T>, product.weight_on_device.data(), size.out,
                                     size.in, product.x_on_device.data(), rows, out.data());
        CHECK(same_bits<T>(out.values(), in_two_steps(cuda::streaming_matmul)));
      }
      if (size.in % cuda::kSkinnyMultiple != 0) continue;
      const DeviceArray<T> out(rows * size.out);
      cuda::skinny_gated_matmul(test_stream(), kTypeOf<T>, product.weight_on_device.data(), size.out, size.in,
                                product.x_on_device.data(), rows, out.data());
      CHECK(same_bits<T>(out.values(), in_two_steps(cuda::tiled_matmul)));
    }
  }
}

std::shared_ptr<const cuda::Device> open_device(weir_precision precision, int32_t flags) {
  weir_device_options options{};
  options.kind = WEIR_DEVICE_CUDA;
  options.precision = precision;
  options.flags = flags;
  return std::make_shared<const cuda::Device>(options);
}

// A Matmul with its workspace.
struct Multiplier {
  Multiplier(weir_precision precision, int32_t flags)
      : device(open_device(precision, flags)),
        workspace(cuda::Matmul::workspace_bytes(*device), "a test"),
        matmul(device, workspace.data()) {}

  std::shared_ptr<const cuda::Device> device;
  cuda::DeviceMemory workspace;
  cuda::Matmul matmul;
};

template <typename T>
std::unique_ptr<Weight> load(const std::vector<T>& values, Size size) {
  const TensorView view{std::is_same_v<T, __half> ? DataType::F16 : DataType::BF16,
                        {size.out, size.in},
                        reinterpret_cast<const std::byte*>(values.data()),
                        values.size() * sizeof(T)};
  WeightSource source;
  source.parts = {&view, 1};
  source.rows = size.out;
  source.columns = size.in;
  return cuda::WeightLoader().load(source, kTypeOf<T>);
}

template <typename T>
void check_matmul(weir_precision precision) {
  for (const int32_t flags : {0, int32_t{WEIR_DEVICE_DETERMINISTIC}}) {
    CAPTURE(flags);
    Multiplier multiplier(precision, flags);
    for (const Size size : {Size{64, 172}, Size{48, 64}, Size{10, 33}}) {
      for (const int64_t rows : {1, 3, 9, 12, 65, 260, 9, 1}) {
        CAPTURE(size.in);
        CAPTURE(rows);
        const Product<T> product(size, rows);
        const std::unique_ptr<Weight> weight = load(product.weight, size);
        const auto& matrix = static_cast<const cuda::CudaWeight&>(*weight);
        const DeviceArray<float> logits(rows * size.out);
        multiplier.matmul.multiply(test_stream(), matrix, product.x_on_device.data(), rows, logits.data(),
                                   cuda::ElementType::kF32);
        CHECK(is_product<T>(product, logits.values(), 0));

        const DeviceArray<T> both(rows * size.out);
        multiplier.matmul.multiply(test_stream(), matrix, product.x_on_device.data(), rows, both.data(),
                                   kTypeOf<T>);
        const std::vector<float> sums = to_floats(both.values());
        CHECK(is_product<T>(product, sums, kRounding<T>));

        const DeviceArray<T> scratch(rows * size.out);
        const int64_t width = size.out / 2;
        const DeviceArray<T> gated(rows * width);
        multiplier.matmul.gated(test_stream(), matrix, product.x_on_device.data(), rows, scratch.data(),
                                gated.data());
        std::vector<double> expected;
        for (int64_t r = 0; r < rows; r++) {
          for (int64_t i = 0; i < width; i++) {
            const double gate = product.expected[r * size.out + i];
            expected.push_back(gate / (1 + std::exp(-gate)) * product.expected[r * size.out + width + i]);
          }
        }
        CHECK(relative_error(to_floats(gated.values()), expected) < 2 * kRounding<T>);
      }
    }
  }
}

}  // namespace

TEST_CASE("cuda matmul: own kernels are what 64-bit arithmetic says, rounded") {
  if (!has_cuda_device()) return;
  check_kernels<__half>();
  check_kernels<__nv_bfloat16>();
}

TEST_CASE("cuda matmul: a row has the same bits in any company, and from both kernels on tensor cores") {
  if (!has_cuda_device()) return;
  check_invariance<__half>();
  check_invariance<__nv_bfloat16>();
}

TEST_CASE("cuda matmul: gated at once is the same bits as in two steps") {
  if (!has_cuda_device()) return;
  check_gated<__half>();
  check_gated<__nv_bfloat16>();
}

#if defined(WEIR_EMULATED)

// Here and not on a device, as that may have no cuBLASLt.

TEST_CASE("cuda matmul: whatever kernel is chosen, the product is right") {
  check_matmul<__half>(WEIR_PRECISION_FP16);
  check_matmul<__nv_bfloat16>(WEIR_PRECISION_BF16);
}

TEST_CASE("cuda matmul: sizes of one bucket are timed once, and nothing is while a graph is recorded") {
  Multiplier multiplier(WEIR_PRECISION_FP16, 0);
  const Size size{64, 64};
  const Product<__half> product(size, 24);
  const std::unique_ptr<Weight> weight = load(product.weight, size);
  const DeviceArray<float> out(24 * size.out);
  const auto kernels_for = [&](int64_t rows) {
    weir_emulator_counters before{};
    weir_emulator_get_counters(&before);
    multiplier.matmul.multiply(test_stream(), static_cast<const cuda::CudaWeight&>(*weight),
                               product.x_on_device.data(), rows, out.data(), cuda::ElementType::kF32);
    cuda::check(cudaStreamSynchronize(test_stream()), "a test");
    weir_emulator_counters after{};
    weir_emulator_get_counters(&after);
    return after.kernels - before.kernels;
  };
  CHECK(kernels_for(23) > 4);  // some kernels, some times
  CHECK(kernels_for(20) == 1);
  CHECK(kernels_for(23) == 1);

  cuda::check(cudaStreamBeginCapture(test_stream(), cudaStreamCaptureModeThreadLocal), "a test");
  weir_status status = WEIR_OK;
  try {
    multiplier.matmul.multiply(test_stream(), static_cast<const cuda::CudaWeight&>(*weight),
                               product.x_on_device.data(), 3, out.data(), cuda::ElementType::kF32);
  } catch (const Error& error) {
    status = error.status();
  }
  cudaGraph_t graph = nullptr;
  cuda::check(cudaStreamEndCapture(test_stream(), &graph), "a test");
  cudaGraphDestroy(graph);
  CHECK(status == WEIR_INTERNAL);
}

TEST_CASE("cuda matmul: a failure of cuBLASLt is an error, and leaves nothing behind") {
  weir_emulator_counters before{};
  weir_emulator_get_counters(&before);
  struct Fault {
    const char* function;
    int32_t status;
    weir_status expected;
  };
  // Numbers of cublasStatus_t.
  for (const Fault fault :
       {Fault{"cublasLtCreate", 1, WEIR_OUT_OF_MEMORY},
        Fault{"cublasLtMatmulDescCreate", 3, WEIR_OUT_OF_MEMORY},
        Fault{"cublasLtMatmulPreferenceSetAttribute", 7, WEIR_INTERNAL},
        Fault{"cublasLtMatmulAlgoGetHeuristic", 7, WEIR_INTERNAL}, Fault{"cublasLtMatmul", 14, WEIR_INTERNAL},
        Fault{"cublasLtMatmul", 13, WEIR_DEVICE_FAILED}}) {
    CAPTURE(std::string(fault.function));
    const Size size{64, 64};
    const Product<__half> product(size, 300);
    const std::unique_ptr<Weight> weight = load(product.weight, size);
    const DeviceArray<float> out(300 * size.out);
    weir_emulator_fail_call(fault.function, 1, fault.status, 0);
    weir_status status = WEIR_OK;
    try {
      Multiplier multiplier(WEIR_PRECISION_FP16, 0);
      multiplier.matmul.multiply(test_stream(), static_cast<const cuda::CudaWeight&>(*weight),
                                 product.x_on_device.data(), 300, out.data(), cuda::ElementType::kF32);
    } catch (const Error& error) {
      status = error.status();
    }
    CHECK(status == fault.expected);
    weir_emulator_fail_call(fault.function, 0, 0, 0);
  }
  weir_emulator_counters after{};
  weir_emulator_get_counters(&after);
  CHECK(after.live_allocations == before.live_allocations);
}

TEST_CASE("cuda matmul: where cuBLASLt proposes nothing, own kernels multiply") {
  Multiplier multiplier(WEIR_PRECISION_FP16, 0);
  const Size size{24, 64};
  constexpr int32_t kNotSupported = 15;
  for (const int64_t rows : {20, 100, 300}) {
    CAPTURE(rows);
    const Product<__half> product(size, rows);
    const std::unique_ptr<Weight> weight = load(product.weight, size);
    const DeviceArray<float> out(rows * size.out);
    weir_emulator_fail_call("cublasLtMatmulAlgoGetHeuristic", 1, kNotSupported, 0);
    multiplier.matmul.multiply(test_stream(), static_cast<const cuda::CudaWeight&>(*weight),
                               product.x_on_device.data(), rows, out.data(), cuda::ElementType::kF32);
    CHECK(is_product<__half>(product, out.values(), 0));
  }
}

#endif
