#include "backend/cuda/memory.h"

#include <cuda_runtime_api.h>

#include <cstring>
#include <string>

#include "backend/cuda/device.h"
#include "backend/cuda/error.h"

namespace weir::cuda {
namespace {

void* allocate_on_device(int64_t bytes, const char* what) {
  if (bytes == 0) return nullptr;
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, static_cast<size_t>(bytes));
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    size_t free = 0;
    size_t total = 0;
    cudaMemGetInfo(&free, &total);
    throw Error(WEIR_OUT_OF_MEMORY,
                std::string(what) + ": " + std::to_string(bytes) +
                    " bytes of device memory are needed in one piece, and " + std::to_string(free) +
                    " are available in all",
                bytes, static_cast<int64_t>(free));
  }
  check(error, what);
  return data;
}

void* allocate_on_host(int64_t bytes, const char* what) {
  if (bytes == 0) return nullptr;
  void* data = nullptr;
  const cudaError_t error = cudaMallocHost(&data, static_cast<size_t>(bytes));
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw Error(WEIR_OUT_OF_MEMORY,
                std::string(what) + ": the host has no " + std::to_string(bytes) +
                    " bytes of page-locked memory; use less, or raise the limit of locked memory (ulimit -l)",
                bytes, 0);
  }
  check(error, what);
  return data;
}

}  // namespace

DeviceMemory::DeviceMemory(int64_t bytes, const char* what)
    : Memory(allocate_on_device(bytes, what), static_cast<size_t>(bytes)) {
  if (bytes == 0) return;
  try {
    check(cudaGetDevice(&device_), what);
    const Stream stream;
    check(cudaMemsetAsync(data(), 0, this->bytes(), stream.get()), what);
    stream.synchronize(what);
  } catch (...) {
    cudaFree(data());
    throw;
  }
}

DeviceMemory::~DeviceMemory() {
  // Or a thread that never used a device would open the first one.
  cudaSetDevice(device_);
  cudaFree(data());
}

PinnedMemory::PinnedMemory(int64_t bytes, const char* what)
    : Memory(allocate_on_host(bytes, what), static_cast<size_t>(bytes)) {
  if (bytes > 0) std::memset(data(), 0, this->bytes());
}

PinnedMemory::~PinnedMemory() { cudaFreeHost(data()); }

}  // namespace weir::cuda
