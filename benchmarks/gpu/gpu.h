// The device as the benchmark uses it: memory, streams, and timing by events.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

namespace weir::benchmark {

// Memory of the current device, not initialised.
class DeviceBuffer {
 public:
  explicit DeviceBuffer(int64_t bytes);
  ~DeviceBuffer();
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;

  int64_t bytes() const { return bytes_; }
  template <typename T = void>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  int64_t bytes_;
};

// Page-locked memory of the host.
class PinnedBuffer {
 public:
  explicit PinnedBuffer(int64_t bytes);
  ~PinnedBuffer();
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
};

// A stream that is timed: how long the device takes for what `work` puts on it.
class TimedStream {
 public:
  TimedStream();
  ~TimedStream();
  TimedStream(const TimedStream&) = delete;
  TimedStream& operator=(const TimedStream&) = delete;

  cudaStream_t get() const { return stream_; }
  void synchronize() const;

  // Seconds between two events around `work`.
  double seconds(const std::function<void(cudaStream_t)>& work) const;
  // `samples` of them, after one that is not counted.
  std::vector<double> sample(int samples, const std::function<void(cudaStream_t)>& work) const;
  // Seconds of one of `launches` calls of `call`, which is given its number, recorded as one graph and
  // replayed, so that what launching costs the host is not counted.
  std::vector<double> sample_recorded(int samples, int launches,
                                      const std::function<void(cudaStream_t, int)>& call) const;

 private:
  cudaStream_t stream_ = nullptr;
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
};

// Bytes that can be allocated now.
int64_t free_device_memory();
int64_t second_level_cache_bytes();
int32_t multiprocessors();
// Name, sizes, driver and runtime of the current device.
nlohmann::ordered_json describe_device();

// What memory is filled with, at random.
enum class Filling {
  kF16,    // uniform in [-1, 1)
  kBf16,   // the same
  kF32,    // about normal with deviation 2: logits
  kInt8,   // any
  kFp8,    // E4M3, no NaN
  kScale,  // floats from 1/256 to 1/128
  kZero
};
void fill(cudaStream_t stream, Filling filling, void* data, int64_t bytes, uint64_t seed);

}  // namespace weir::benchmark
