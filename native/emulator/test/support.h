// What the emulator's tests share.
#pragma once

#include <cuda_runtime.h>
#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "emulator/control.h"

namespace emulator {

#define REQUIRE_CUDA(call) REQUIRE(std::string(cudaGetErrorName(call)) == "cudaSuccess")

// A stream for the time of a test, and the emulator as it was before.
class TestStream {
 public:
  TestStream() {
    weir_emulator_reset();
    weir_emulator_set_architecture(WEIR_EMULATED_ARCHITECTURE / 10);
    REQUIRE_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  }
  ~TestStream() {
    weir_emulator_reset();
    cudaStreamDestroy(stream_);
  }
  TestStream(const TestStream&) = delete;
  TestStream& operator=(const TestStream&) = delete;

  operator cudaStream_t() const { return stream_; }
  cudaError_t synchronize() const { return cudaStreamSynchronize(stream_); }

 private:
  cudaStream_t stream_ = nullptr;
};

// Device memory with a vector's values.
template <class T>
class DeviceVector {
 public:
  explicit DeviceVector(size_t size) : size_(size) { REQUIRE_CUDA(cudaMalloc(&data_, size * sizeof(T))); }
  explicit DeviceVector(const std::vector<T>& values) : DeviceVector(values.size()) {
    REQUIRE_CUDA(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  ~DeviceVector() { cudaFree(data_); }
  DeviceVector(const DeviceVector&) = delete;
  DeviceVector& operator=(const DeviceVector&) = delete;

  T* data() const { return data_; }
  // Does not wait for the test's stream, which does not block.
  std::vector<T> values() const {
    std::vector<T> result(size_);
    REQUIRE_CUDA(cudaMemcpy(result.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost));
    return result;
  }

 private:
  T* data_ = nullptr;
  size_t size_;
};

struct Shape {
  dim3 grid;
  dim3 block;
  size_t dynamic_shared_bytes = 0;
  bool overlaps_previous = false;
};

template <class... Parameters, class... Arguments>
cudaError_t launch_kernel(void (*kernel)(Parameters...), const Shape& shape, cudaStream_t stream,
                          Arguments&&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.dynamic_shared_bytes;
  config.stream = stream;
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &attribute;
  config.numAttrs = shape.overlaps_previous ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...);
}

inline std::string last_message() {
  char text[1024];
  weir_emulator_last_message(text, sizeof text);
  return text;
}

inline weir_emulator_counters counters() {
  weir_emulator_counters result;
  weir_emulator_get_counters(&result);
  return result;
}

}  // namespace emulator
