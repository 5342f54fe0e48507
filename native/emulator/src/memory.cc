// Device memory, pinned host memory, and copies.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "runtime.h"

namespace emulator {
namespace {

constexpr size_t kDeviceAlignment = 256;
constexpr size_t kPinnedAlignment = 4096;
// A pool of many gigabytes of which little is used must not take them all: only this much from its beginning
// is filled.
constexpr size_t kFilledBytes = size_t{64} << 20;

class CopyWork final : public Work {
 public:
  CopyWork(void* destination, const void* source, size_t bytes, uint64_t weir_emulator_counters::*counter)
      : destination_(destination), source_(source), bytes_(bytes), counter_(counter) {}

  // Reads `bytes` of host memory at once.
  CopyWork(void* destination, std::vector<std::byte> source, uint64_t weir_emulator_counters::*counter)
      : destination_(destination), kept_(std::move(source)), bytes_(kept_.size()), counter_(counter) {}

  std::optional<Failure> run(Runtime& runtime) const override {
    if (counter_ != nullptr) runtime.counters.*counter_ += bytes_;
    std::memmove(destination_, source_ != nullptr ? source_ : kept_.data(), bytes_);
    return {};
  }

 private:
  void* destination_;
  const void* source_ = nullptr;
  std::vector<std::byte> kept_;
  size_t bytes_;
  uint64_t weir_emulator_counters::*counter_;
};

class FillWork final : public Work {
 public:
  FillWork(void* destination, int value, size_t bytes)
      : destination_(destination), value_(value), bytes_(bytes) {}

  std::optional<Failure> run(Runtime&) const override {
    std::memset(destination_, value_, bytes_);
    return {};
  }

 private:
  void* destination_;
  int value_;
  size_t bytes_;
};

// What a copy is, as its pointers say. cudaErrorInvalidValue if a range is not in one live allocation, or the
// kind says something else.
struct CopyPlan {
  cudaError_t error = cudaErrorInvalidValue;
  bool from_device = false;
  bool to_device = false;
  uint64_t weir_emulator_counters::*counter = nullptr;

  CopyPlan(const Runtime& runtime, const void* destination, const void* source, size_t bytes,
           cudaMemcpyKind kind) {
    if (destination == nullptr || source == nullptr) return;
    const Allocations& device = runtime.device_memory;
    from_device = device.overlaps(source, bytes);
    to_device = device.overlaps(destination, bytes);
    if (from_device && !device.contains(source, bytes)) return;
    if (to_device && !device.contains(destination, bytes)) return;
    const cudaMemcpyKind is = from_device ? (to_device ? cudaMemcpyDeviceToDevice : cudaMemcpyDeviceToHost)
                                          : (to_device ? cudaMemcpyHostToDevice : cudaMemcpyHostToHost);
    if (kind != is && kind != cudaMemcpyDefault) return;
    if (is == cudaMemcpyHostToDevice) counter = &weir_emulator_counters::host_to_device;
    if (is == cudaMemcpyDeviceToHost) counter = &weir_emulator_counters::device_to_host;
    if (is == cudaMemcpyDeviceToDevice) counter = &weir_emulator_counters::device_to_device;
    error = cudaSuccess;
  }
};

cudaError_t allocate_pinned(void** pointer, size_t bytes) {
  return call("cudaMallocHost", [&](Runtime& runtime, Lock&) {
    if (pointer == nullptr) return cudaErrorInvalidValue;
    if (const cudaError_t error = runtime.check_no_capture(); error != cudaSuccess) return error;
    *pointer = nullptr;
    if (bytes == 0) return cudaSuccess;
    *pointer = runtime.pinned_memory.allocate(bytes, kPinnedAlignment);
    return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
  });
}

}  // namespace

void* Allocations::allocate(size_t bytes, size_t alignment) {
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, bytes) != 0) return nullptr;
  std::memset(memory, 0xFF, std::min(bytes, kFilledBytes));
  sizes_.emplace(reinterpret_cast<uintptr_t>(memory), bytes);
  bytes_ += bytes;
  return memory;
}

bool Allocations::free(void* pointer) {
  const auto found = sizes_.find(reinterpret_cast<uintptr_t>(pointer));
  if (found == sizes_.end()) return false;
  bytes_ -= found->second;
  sizes_.erase(found);
  std::free(pointer);
  return true;
}

bool Allocations::contains(const void* pointer, size_t bytes) const {
  const auto begin = reinterpret_cast<uintptr_t>(pointer);
  auto after = sizes_.upper_bound(begin);
  if (after == sizes_.begin()) return false;
  const auto& [start, size] = *--after;
  return begin - start <= size && bytes <= size - (begin - start);
}

bool Allocations::overlaps(const void* pointer, size_t bytes) const {
  const auto begin = reinterpret_cast<uintptr_t>(pointer);
  auto after = sizes_.upper_bound(begin);
  if (after != sizes_.end() && after->first - begin < bytes) return true;
  if (after == sizes_.begin()) return false;
  const auto& [start, size] = *--after;
  return begin - start < size;
}

}  // namespace emulator

using namespace emulator;

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  return call("cudaMalloc", [&](Runtime& runtime, Lock&) {
    if (pointer == nullptr) return cudaErrorInvalidValue;
    if (const cudaError_t error = runtime.check_no_capture(); error != cudaSuccess) return error;
    *pointer = nullptr;
    if (bytes == 0) return cudaSuccess;
    const uint64_t used = runtime.device_memory.bytes();
    if (used > runtime.settings.memory_bytes || bytes > runtime.settings.memory_bytes - used) {
      return cudaErrorMemoryAllocation;
    }
    *pointer = runtime.device_memory.allocate(bytes, kDeviceAlignment);
    if (*pointer == nullptr) return cudaErrorMemoryAllocation;
    runtime.counters.allocations++;
    return cudaSuccess;
  });
}

cudaError_t cudaFree(void* pointer) {
  return release("cudaFree", [&](Runtime& runtime, Lock& lock) {
    if (const cudaError_t error = runtime.check_no_capture(); error != cudaSuccess) return error;
    if (pointer == nullptr) return cudaSuccess;
    runtime.wait_all(lock, false);
    return runtime.device_memory.free(pointer) ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t cudaMallocHost(void** pointer, size_t bytes) { return allocate_pinned(pointer, bytes); }

cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned int) {
  return allocate_pinned(pointer, bytes);
}

cudaError_t cudaFreeHost(void* pointer) {
  return release("cudaFreeHost", [&](Runtime& runtime, Lock& lock) {
    if (pointer == nullptr) return cudaSuccess;
    if (const cudaError_t error = runtime.check_no_capture(); error != cudaSuccess) return error;
    runtime.wait_all(lock, false);
    return runtime.pinned_memory.free(pointer) ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return call("cudaMemGetInfo", [&](Runtime& runtime, Lock&) {
    if (free == nullptr || total == nullptr) return cudaErrorInvalidValue;
    const uint64_t size = runtime.settings.memory_bytes;
    *total = size;
    *free = size - std::min(size, runtime.device_memory.bytes());
    return cudaSuccess;
  });
}

// Waits for the streams that the legacy default stream waits for, and for no others.
cudaError_t cudaMemcpy(void* destination, const void* source, size_t bytes, cudaMemcpyKind kind) {
  return call("cudaMemcpy", [&](Runtime& runtime, Lock& lock) {
    if (const cudaError_t error = runtime.check_no_capture(); error != cudaSuccess) return error;
    if (bytes == 0) return cudaSuccess;
    const CopyPlan plan(runtime, destination, source, bytes, kind);
    if (plan.error != cudaSuccess) return plan.error;
    if (const cudaError_t error = runtime.wait_all(lock, true); error != cudaSuccess) return error;
    CopyWork(destination, source, bytes, plan.counter).run(runtime);
    return cudaSuccess;
  });
}

// Pinned host memory is read and written when the copy runs. Other host memory is read at once, as CUDA does
// through a buffer of its own, and a copy into it waits for the stream.
cudaError_t cudaMemcpyAsync(void* destination, const void* source, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t handle) {
  return call("cudaMemcpyAsync", [&](Runtime& runtime, Lock& lock) {
    const std::shared_ptr<Stream> stream = runtime.streams.find(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (bytes == 0) return cudaSuccess;
    const CopyPlan plan(runtime, destination, source, bytes, kind);
    if (plan.error != cudaSuccess) return plan.error;
    const bool capturing = stream->capture != nullptr;
    if (!plan.from_device && !capturing && !runtime.pinned_memory.contains(source, bytes)) {
      const auto* begin = static_cast<const std::byte*>(source);
      return runtime.submit(
          *stream, std::make_shared<CopyWork>(destination, std::vector<std::byte>(begin, begin + bytes),
                                              plan.counter));
    }
    const cudaError_t error =
        runtime.submit(*stream, std::make_shared<CopyWork>(destination, source, bytes, plan.counter));
    if (error != cudaSuccess || capturing || plan.to_device ||
        runtime.pinned_memory.contains(destination, bytes)) {
      return error;
    }
    return runtime.wait(lock, stream, stream->submitted);
  });
}

cudaError_t cudaMemset(void* pointer, int value, size_t bytes) {
  return call("cudaMemset", [&](Runtime& runtime, Lock& lock) {
    if (const cudaError_t error = runtime.check_no_capture(); error != cudaSuccess) return error;
    if (bytes == 0) return cudaSuccess;
    if (!runtime.device_memory.contains(pointer, bytes)) return cudaErrorInvalidValue;
    if (const cudaError_t error = runtime.wait_all(lock, true); error != cudaSuccess) return error;
    FillWork(pointer, value, bytes).run(runtime);
    return cudaSuccess;
  });
}

cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t handle) {
  return call("cudaMemsetAsync", [&](Runtime& runtime, Lock&) {
    const std::shared_ptr<Stream> stream = runtime.streams.find(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (bytes == 0) return cudaSuccess;
    if (!runtime.device_memory.contains(pointer, bytes)) return cudaErrorInvalidValue;
    return runtime.submit(*stream, std::make_shared<FillWork>(pointer, value, bytes));
  });
}
