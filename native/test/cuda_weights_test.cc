#include <cuda_runtime_api.h>

#include <cstring>

#include "backend/cuda/weights.h"
#include "core/error.h"
#include "core/random_weight.h"
#include "cuda_support.h"
#include "operator_support.h"

using namespace weir;
using namespace weir::test;

namespace {

// Values as a file has them, from an odd address on.
struct FileTensor {
  DataType type;
  std::vector<std::byte> file;
  size_t bytes;

  TensorView view(int64_t rows, int64_t columns) const {
    return {type, {rows, columns}, file.data() + 1, bytes};
  }
};

template <typename Value>
FileTensor file_of(DataType type, const std::vector<Value>& values) {
  FileTensor tensor{type, std::vector<std::byte>(values.size() * sizeof(Value) + 1),
                    values.size() * sizeof(Value)};
  std::memcpy(tensor.file.data() + 1, values.data(), tensor.bytes);
  return tensor;
}

FileTensor as_file(DataType type, std::span<const float> values) {
  switch (type) {
    case DataType::F16:
      return file_of(type, rounded<__half>(values));
    case DataType::BF16:
      return file_of(type, rounded<__nv_bfloat16>(values));
    default:
      return file_of(type, std::vector<float>(values.begin(), values.end()));
  }
}

template <typename Value>
std::vector<Value> from_device(const Weight& weight) {
  std::vector<Value> values(weight.rows() * weight.columns());
  cuda::check(cudaMemcpy(values.data(), static_cast<const cuda::CudaWeight&>(weight).data(),
                         values.size() * sizeof(Value), cudaMemcpyDeviceToHost),
              "a test");
  return values;
}

std::vector<float> floats_of(const Weight& weight) {
  switch (static_cast<const cuda::CudaWeight&>(weight).type()) {
    case cuda::ElementType::kF16:
      return to_floats(from_device<__half>(weight));
    case cuda::ElementType::kBf16:
      return to_floats(from_device<__nv_bfloat16>(weight));
    default:
      return from_device<float>(weight);
  }
}

float rounded_to(cuda::ElementType type, float x) {
  switch (type) {
    case cuda::ElementType::kF16:
      return to_float(rounded<__half>(x));
    case cuda::ElementType::kBf16:
      return to_float(rounded<__nv_bfloat16>(x));
    default:
      return x;
  }
}

constexpr cuda::ElementType kKept[] = {cuda::ElementType::kF32, cuda::ElementType::kF16,
                                       cuda::ElementType::kBf16};
constexpr DataType kFiles[] = {DataType::F32, DataType::F16, DataType::BF16};

}  // namespace

TEST_CASE("cuda weights: every type of a file in every type of the device, stacked, rounded once") {
  if (!has_cuda_device()) return;
  cuda::WeightLoader loader;
  constexpr int64_t kColumns = 37;
  for (const DataType file : kFiles) {
    for (const cuda::ElementType kept : kKept) {
      CAPTURE(static_cast<int>(file));
      CAPTURE(static_cast<int>(kept));
      std::vector<FileTensor> tensors;
      std::vector<TensorView> parts;
      std::vector<float> expected;
      for (const int64_t rows : {3, 1, 5}) {
        const std::vector<float> values = random_floats(rows * kColumns, static_cast<uint32_t>(rows));
        tensors.push_back(as_file(file, values));
        std::vector<float> exact(values.size());
        convert_to_f32(tensors.back().view(rows, kColumns), exact.data());
        for (const float value : exact) expected.push_back(rounded_to(kept, value));
      }
      for (const FileTensor& tensor : tensors) parts.push_back(tensor.view(0, kColumns));
      WeightSource source;
      source.parts = parts;
      source.rows = 9;
      source.columns = kColumns;
      const std::unique_ptr<Weight> weight = loader.load(source, kept);
      CHECK(weight->rows() == 9);
      CHECK(weight->columns() == kColumns);
      CHECK(floats_of(*weight) == expected);
    }
  }
}

TEST_CASE("cuda weights: larger than the buffers that they go through") {
  if (!has_cuda_device()) return;
  cuda::WeightLoader loader;
  // 2.5 buffers of 16 MiB, so that each is used and one is used again.
  constexpr int64_t kColumns = 1 << 20;
  constexpr int64_t kRowsOfPart = 10;
  std::vector<float> values(kRowsOfPart * kColumns);
  for (size_t i = 0; i < values.size(); i++) values[i] = static_cast<float>(i % 9973) - 4000;
  const FileTensor tensor = as_file(DataType::F32, values);
  const TensorView view = tensor.view(kRowsOfPart, kColumns);
  WeightSource source;
  source.parts = {&view, 1};
  source.rows = kRowsOfPart;
  source.columns = kColumns;
  for (const cuda::ElementType kept : {cuda::ElementType::kF32, cuda::ElementType::kF16}) {
    const std::vector<float> loaded = floats_of(*loader.load(source, kept));
    size_t wrong = 0;
    for (size_t i = 0; i < values.size(); i++) wrong += loaded[i] != rounded_to(kept, values[i]);
    CHECK(wrong == 0);
  }
}

TEST_CASE("cuda weights: what is too large for fp16 is refused, infinity is not") {
  if (!has_cuda_device()) return;
  cuda::WeightLoader loader;
  const auto status_of = [&](DataType file, float value, cuda::ElementType kept) {
    std::vector<float> values(100, 1.0f);
    values[57] = value;
    const FileTensor tensor = as_file(file, values);
    const TensorView view = tensor.view(10, 10);
    WeightSource source;
    source.parts = {&view, 1};
    source.rows = source.columns = 10;
    try {
      loader.load(source, kept);
    } catch (const Error& error) {
      CHECK(error.message().find("--precision bf16") != std::string::npos);
      return error.status();
    }
    return weir_status{WEIR_OK};
  };
  const float infinity = std::numeric_limits<float>::infinity();
  for (const DataType file : {DataType::F32, DataType::BF16}) {
    CHECK(status_of(file, 70000.0f, cuda::ElementType::kF16) == WEIR_UNSUPPORTED);
    CHECK(status_of(file, -70000.0f, cuda::ElementType::kF16) == WEIR_UNSUPPORTED);
    CHECK(status_of(file, 70000.0f, cuda::ElementType::kBf16) == WEIR_OK);
    CHECK(status_of(file, infinity, cuda::ElementType::kF16) == WEIR_OK);
    CHECK(status_of(file, 1.0f, cuda::ElementType::kF16) == WEIR_OK);
  }
  CHECK(status_of(DataType::F32, 65519.0f, cuda::ElementType::kF16) == WEIR_OK);
  CHECK(status_of(DataType::F32, 65520.0f, cuda::ElementType::kF16) == WEIR_UNSUPPORTED);
  // A weight before this one leaves no trace.
  CHECK(status_of(DataType::F32, 2.0f, cuda::ElementType::kF16) == WEIR_OK);
}

TEST_CASE("cuda weights: random ones are those of the CPU") {
  if (!has_cuda_device()) return;
  cuda::WeightLoader loader;
  weir_device_options options{};
  options.kind = WEIR_DEVICE_CPU_REFERENCE;
  const std::unique_ptr<Backend> cpu = open_backend(options);
  for (const int64_t columns : {1, 4, 7, 1000}) {
    CAPTURE(columns);
    WeightSource source;
    source.rows = 3;
    source.columns = columns;
    source.seed = 11;
    source.stream = 5;
    source.mean = 0;
    source.deviation = 0.02f;
    // An embedding in the reference backend is the table itself: it reads what was drawn.
    std::vector<float> expected(source.rows * columns);
    const std::unique_ptr<Weight> table = cpu->make_table(source);
    ContextLimits limits = limits_of(10);
    const std::unique_ptr<Context> context = cpu->make_context(limits);
    const std::vector<int32_t> ids = {0, 1, 2};
    StepBatch batch;
    batch.entries = batch.tokens = 3;
    batch.token_ids = ids.data();
    const std::unique_ptr<Memory> memory = cpu->allocate(cpu->padded_rows(3) * columns * 4, "a test");
    const Activations out{memory->data(), 3, columns};
    context->run(batch, nullptr, [&](const StepBatch& running) { context->embed(running, *table, out); });
    std::memcpy(expected.data(), memory->data(), expected.size() * sizeof(float));

    for (const cuda::ElementType kept : kKept) {
      std::vector<float> kept_values = expected;
      for (float& value : kept_values) value = rounded_to(kept, value);
      CHECK(floats_of(*loader.load(source, kept)) == kept_values);
    }
    CHECK(expected.front() != expected.back());
  }
}
