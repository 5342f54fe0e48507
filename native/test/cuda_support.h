// Arrays on the CUDA device for the tests of its operators. The same tests run on a device and, where the
// executable is linked against it, on the emulator (native/emulator).
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <doctest/doctest.h>

#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "backend/cuda/current_device.h"
#include "backend/cuda/element_type.h"
#include "backend/cuda/error.h"

namespace weir::test {

// Whether there is a device; says so if not.
inline bool has_cuda_device() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess && count > 0) {
    cudaDeviceProp properties{};
    cuda::check(cudaGetDeviceProperties(&properties, 0), "a test");
    cuda::current_compute_capability = properties.major * 10 + properties.minor;
    return true;
  }
  MESSAGE("skipped: no CUDA device");
  return false;
}

// The stream that the tests launch on.
inline cudaStream_t test_stream() {
  static const cudaStream_t stream = [] {
    cudaStream_t created = nullptr;
    cuda::check(cudaStreamCreateWithFlags(&created, cudaStreamNonBlocking), "a test");
    return created;
  }();
  return stream;
}

// Memory of the device, filled with 0xFF bytes: NaN, -1. With a margin behind it that nobody may write to.
template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t size) : size_(size) {
    void* data = nullptr;
    cuda::check(cudaMalloc(&data, bytes() + kMargin), "a test");
    data_ = static_cast<T*>(data);
    cuda::check(cudaMemset(data_, 0xFF, bytes() + kMargin), "a test");
    cuda::check(cudaDeviceSynchronize(), "a test");
  }
  explicit DeviceArray(std::span<const T> values) : DeviceArray(values.size()) {
    cuda::check(cudaMemcpy(data_, values.data(), bytes(), cudaMemcpyHostToDevice), "a test");
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(std::span<const T>(values)) {}
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }

  // Overwrites the first elements.
  void assign(std::span<const T> values) {
    REQUIRE(values.size() <= size_);
    cuda::check(cudaMemcpy(data_, values.data(), values.size_bytes(), cudaMemcpyHostToDevice), "a test");
  }

  // Waits for all that was launched. Checks that the margin is as it was.
  std::vector<T> values() const {
    cuda::check(cudaDeviceSynchronize(), "a test");
    std::vector<T> copy(size_);
    cuda::check(cudaMemcpy(copy.data(), data_, bytes(), cudaMemcpyDeviceToHost), "a test");
    std::vector<unsigned char> margin(kMargin);
    cuda::check(cudaMemcpy(margin.data(), reinterpret_cast<unsigned char*>(data_) + bytes(), kMargin,
                           cudaMemcpyDeviceToHost),
                "a test");
    CHECK(margin == std::vector<unsigned char>(kMargin, 0xFF));
    return copy;
  }

 private:
  static constexpr size_t kMargin = 64;
  size_t bytes() const { return size_ * sizeof(T); }

  T* data_ = nullptr;
  size_t size_;
};

// The two types of weights and activations.
template <typename T>
constexpr cuda::ElementType kTypeOf =
    std::is_same_v<T, __half> ? cuda::ElementType::kF16 : cuda::ElementType::kBf16;

// Largest error of rounding to T, relative to the value.
template <typename T>
constexpr double kRounding = std::is_same_v<T, __half> ? 0x1p-11 : 0x1p-8;

template <typename T>
T rounded(float x) {
  if constexpr (std::is_same_v<T, __half>) {
    return __float2half_rn(x);
  } else {
    return __float2bfloat16_rn(x);
  }
}

inline float to_float(__half x) { return __half2float(x); }
inline float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename T>
std::vector<T> rounded(std::span<const float> values) {
  std::vector<T> out;
  for (const float value : values) out.push_back(rounded<T>(value));
  return out;
}

template <typename T>
std::vector<float> to_floats(const std::vector<T>& values) {
  std::vector<float> out;
  for (const T value : values) out.push_back(to_float(value));
  return out;
}

// Whether the arrays hold the same bits.
template <typename T>
bool same_bits(std::span<const T> a, std::span<const T> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

}  // namespace weir::test
