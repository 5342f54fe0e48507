#include <cuda_runtime_api.h>

#include <string>

#include "backend/cuda/cuda_backend.h"
#include "core/error.h"

namespace weir::cuda {
namespace {

[[noreturn]] void unavailable(std::string message) {
  throw Error(WEIR_DEVICE_UNAVAILABLE, std::move(message));
}

// Number of devices; throws if there is no driver or none that this build can use.
int device_count() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorInsufficientDriver || error == cudaErrorStubLibrary) {
    unavailable("no CUDA device: the NVIDIA driver (libcuda.so.1) is missing or older than CUDA " +
                std::to_string(CUDART_VERSION / 1000) + "." + std::to_string(CUDART_VERSION % 1000 / 10) +
                "; use the device kind cpu, or install the driver");
  }
  if (error != cudaSuccess) {
    unavailable(std::string("no CUDA device: ") + cudaGetErrorName(error) + ", " + cudaGetErrorString(error));
  }
  return count;
}

}  // namespace

void probe_cuda(int32_t ordinal) {
  const int count = device_count();
  if (ordinal < 0 || ordinal >= count) {
    unavailable("no CUDA device " + std::to_string(ordinal) + "; there are " + std::to_string(count) +
                ", numbered from 0");
  }
  cudaDeviceProp properties{};
  const cudaError_t error = cudaGetDeviceProperties(&properties, ordinal);
  if (error != cudaSuccess) unavailable(std::string("CUDA device: ") + cudaGetErrorString(error));
  unavailable(std::string("the CUDA device ") + properties.name +
              " is there, but this build's CUDA backend has no operators; use the device kind cpu");
}

std::unique_ptr<Backend> open_cuda(const weir_device_options& options) { probe_cuda(options.ordinal); }

}  // namespace weir::cuda
