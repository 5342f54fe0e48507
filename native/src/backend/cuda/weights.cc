#include "backend/cuda/weights.h"

#include <algorithm>
#include <cstring>

#include "backend/cuda/error.h"
#include "core/error.h"

namespace weir::cuda {
namespace {

// Large enough that copies run at the rate of the bus.
constexpr int64_t kBufferBytes = int64_t{16} << 20;

constexpr const char* kLoading = "loading a weight of the model";
constexpr const char* kBuffers = "loading weights";

ElementType element_type_of(DataType type) {
  switch (type) {
    case DataType::F32:
      return ElementType::kF32;
    case DataType::F16:
      return ElementType::kF16;
    case DataType::BF16:
      return ElementType::kBf16;
  }
  return ElementType::kF32;
}

}  // namespace

CudaWeight::CudaWeight(int64_t rows, int64_t columns, ElementType type)
    : Weight(rows, columns),
      type_(type),
      memory_(bytes(rows, columns, type), "a weight of the model (weir_model_options.layer_limit)") {}

WeightLoader::Buffer::Buffer() : host(kBufferBytes, kBuffers), device(kBufferBytes, kBuffers) {}

WeightLoader::WeightLoader() : overflow_(sizeof(int32_t), kBuffers) {}

WeightLoader::~WeightLoader() { cudaStreamSynchronize(stream_.get()); }

std::unique_ptr<Weight> WeightLoader::load(const WeightSource& source, ElementType type) {
  const std::lock_guard lock(mutex_);
  auto weight = std::make_unique<CudaWeight>(source.rows, source.columns, type);
  auto* out = static_cast<std::byte*>(weight->memory_.data());
  int32_t overflow = 0;
  try {
    check(cudaMemsetAsync(overflow_.data(), 0, sizeof(int32_t), stream_.get()), kLoading);
    if (source.parts.empty()) fill_random(stream_.get(), source, type, out);
    for (const TensorView& part : source.parts) {
      copy_part(part, type, out);
      out += part.bytes / bytes_of(part.type) * bytes_of(type);
    }
    check(
        cudaMemcpyAsync(&overflow, overflow_.data(), sizeof overflow, cudaMemcpyDeviceToHost, stream_.get()),
        kLoading);
    stream_.synchronize(kLoading);
  } catch (...) {
    cudaStreamSynchronize(stream_.get());
    throw;
  }
  if (overflow != 0) {
    throw Error(WEIR_UNSUPPORTED,
                "the model has weights beyond 65504, the largest number of fp16; open the device with "
                "WEIR_PRECISION_BF16 (weir_device_options.precision, --precision bf16)");
  }
  return weight;
}

void WeightLoader::copy_part(const TensorView& part, ElementType type, void* out) {
  const ElementType from = element_type_of(part.type);
  const int64_t chunk = kBufferBytes / bytes_of(from) * bytes_of(from);
  const int64_t bytes = static_cast<int64_t>(part.bytes);
  for (int64_t begin = 0; begin < bytes; begin += chunk) {
    const int64_t size = std::min(chunk, bytes - begin);
    Buffer& buffer = buffers_[next_];
    next_ = 1 - next_;
    check(cudaEventSynchronize(buffer.free.get()), kLoading);
    std::memcpy(buffer.host.data(), part.data + begin, size);
    const int64_t elements = size / bytes_of(from);
    auto* const to = static_cast<std::byte*>(out) + begin / bytes_of(from) * bytes_of(type);
    void* const landing = from == type ? to : buffer.device.data();
    check(cudaMemcpyAsync(landing, buffer.host.data(), size, cudaMemcpyHostToDevice, stream_.get()),
          kLoading);
    if (from != type) {
      convert(stream_.get(), from, landing, type, to, elements, overflow_.as<int32_t>());
    }
    check(cudaEventRecord(buffer.free.get(), stream_.get()), kLoading);
  }
}

}  // namespace weir::cuda
