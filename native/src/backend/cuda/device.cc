#include "backend/cuda/device.h"

#include <cstdio>
#include <string>

#include "backend/cuda/current_device.h"
#include "backend/cuda/error.h"
#include "core/error.h"

namespace weir::cuda {
namespace {

[[noreturn]] void unavailable(const std::string& message) { throw Error(WEIR_DEVICE_UNAVAILABLE, message); }

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// Throws if there is no driver, or none that this build can use.
int device_count() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return count;
  cudaGetLastError();
  if (error == cudaErrorInsufficientDriver || error == cudaErrorStubLibrary) {
    int driver = 0;
    cudaDriverGetVersion(&driver);
    if (driver == 0) {
      unavailable(
          "no CUDA device: the NVIDIA driver (libcuda.so.1) was not found; install it, make it visible to "
          "the process "
          "(LD_LIBRARY_PATH, or the container's GPU runtime), or use the device kind cpu");
    }
    unavailable("no CUDA device: the NVIDIA driver is for CUDA " + version_text(driver) +
                ", and this build needs " + version_text(CUDART_VERSION) +
                "; install a newer driver, or use the device kind cpu");
  }
  if (error == cudaErrorNoDevice || error == cudaSuccess) {
    unavailable(
        "no CUDA device: the NVIDIA driver is there but sees no GPU; look at nvidia-smi and "
        "CUDA_VISIBLE_DEVICES, or "
        "use the device kind cpu");
  }
  if (error == cudaErrorSystemNotReady) {
    unavailable(
        "no CUDA device: the system is not ready yet; on machines with NVSwitch the service "
        "nvidia-fabricmanager must run, in the "
        "driver's version. Or use the device kind cpu");
  }
  if (error == cudaErrorSystemDriverMismatch) {
    unavailable(
        "no CUDA device: the driver in the kernel and its libraries (libcuda.so.1) are of different "
        "versions; restart the "
        "machine after an update, or make the container's match. Or use the device kind cpu");
  }
  unavailable(describe(error, "no CUDA device"));
}

cudaDeviceProp properties_of(int32_t ordinal) {
  const int count = device_count();
  if (ordinal < 0 || ordinal >= count) {
    unavailable("there is no CUDA device " + std::to_string(ordinal) + "; there are " +
                std::to_string(count) + ", numbered from 0 (weir_device_options.ordinal)");
  }
  cudaDeviceProp properties{};
  const cudaError_t error = cudaGetDeviceProperties(&properties, ordinal);
  if (error != cudaSuccess) unavailable(describe(error, "asking for the properties of the CUDA device"));
  // sm_80 code runs on 8.x, sm_90a code on 9.0 alone.
  const bool supported = properties.major == 8 || (properties.major == 9 && properties.minor == 0);
  if (!supported) {
    unavailable("the CUDA device " + std::string(properties.name) + " has compute capability " +
                std::to_string(properties.major) + "." + std::to_string(properties.minor) +
                ", and this build has code for 8.0 (A100) and 9.0 (H100, H200); use another device "
                "(weir_device_options.ordinal), or the device kind cpu");
  }
  // What A100 has, and the largest kernels take.
  constexpr size_t kSharedBytes = 163 * 1024;
  if (properties.sharedMemPerBlockOptin < kSharedBytes) {
    unavailable(
        "the CUDA device " + std::string(properties.name) + " has " +
        std::to_string(properties.sharedMemPerBlockOptin) +
        " bytes of shared memory for a block, and the kernels need " + std::to_string(kSharedBytes) +
        ", as A100, H100 and H200 have; use another device (weir_device_options.ordinal), or the device "
        "kind cpu");
  }
  return properties;
}

weir_precision precision_of(const weir_device_options& options) {
  switch (options.precision) {
    case WEIR_PRECISION_DEFAULT:
    case WEIR_PRECISION_FP16:
      return WEIR_PRECISION_FP16;
    case WEIR_PRECISION_BF16:
      return WEIR_PRECISION_BF16;
    case WEIR_PRECISION_FP32:
    case WEIR_PRECISION_INT8:
    case WEIR_PRECISION_FP8:
      throw Error(WEIR_UNSUPPORTED,
                  "weir_device_options.precision is " + std::to_string(options.precision) +
                      "; the CUDA backend computes in WEIR_PRECISION_FP16 and "
                      "WEIR_PRECISION_BF16 (int8 and fp8 are for weir_cache_options.kv_precision)");
    default:
      throw invalid_argument("weir_device_options.precision is " + std::to_string(options.precision) +
                             ", must be in 0.." + std::to_string(WEIR_PRECISION_FP8));
  }
}

int32_t flags_of(const weir_device_options& options) {
  constexpr int32_t kFlags = WEIR_DEVICE_DETERMINISTIC | WEIR_DEVICE_NO_GRAPHS;
  if ((options.flags & ~kFlags) != 0) {
    throw invalid_argument(
        "weir_device_options.flags is " + std::to_string(options.flags) +
        ", and for CUDA only WEIR_DEVICE_DETERMINISTIC and WEIR_DEVICE_NO_GRAPHS can be set");
  }
  return options.flags;
}

}  // namespace

void check_device(int32_t ordinal) {
  properties_of(ordinal);
  CublasLt::load();
}

Device::Device(const weir_device_options& options)
    : ordinal_(options.ordinal), precision_(precision_of(options)), flags_(flags_of(options)) {
  if (options.threads != 0) {
    throw invalid_argument("weir_device_options.threads is " + std::to_string(options.threads) +
                           ", must be 0 for CUDA: it is for the CPU backend");
  }
  const cudaDeviceProp properties = properties_of(ordinal_);
  name_ = properties.name;
  compute_capability_ = properties.major * 10 + properties.minor;
  multiprocessors_ = properties.multiProcessorCount;
  total_memory_ = static_cast<int64_t>(properties.totalGlobalMem);
  char bus[16] = {};
  if (cudaDeviceGetPCIBusId(bus, sizeof bus, ordinal_) == cudaSuccess) pci_bus_id_ = bus;
  cublaslt_ = CublasLt::load();
  use();
  // Makes the CUDA context now, so that its memory is not counted as available.
  check(cudaFree(nullptr), "opening the CUDA device");
}

void Device::use() const {
  check(cudaSetDevice(ordinal_), "choosing the CUDA device");
  current_compute_capability = compute_capability_;
}

int64_t Device::available_memory() const {
  use();
  size_t free = 0;
  size_t total = 0;
  check(cudaMemGetInfo(&free, &total), "asking for the memory of the device");
  return static_cast<int64_t>(free);
}

void Device::describe(weir_device_info& info) const {
  info.kind = WEIR_DEVICE_CUDA;
  info.ordinal = ordinal_;
  info.threads = 0;
  info.precision = precision_;
  info.memory_total = total_memory_;
  info.memory_available = available_memory();
  info.compute_capability = compute_capability_;
  info.multiprocessors = multiprocessors_;
  std::snprintf(info.name, sizeof info.name, "%s", name_.c_str());
  std::snprintf(info.matmul, sizeof info.matmul, "%s", cublaslt_->describe().c_str());
  std::snprintf(info.pci_bus_id, sizeof info.pci_bus_id, "%s", pci_bus_id_.c_str());
}

Stream::Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream"); }
Stream::~Stream() { cudaStreamDestroy(stream_); }
void Stream::synchronize(const char* what) const { check(cudaStreamSynchronize(stream_), what); }

Event::Event() { check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "making an event"); }
Event::~Event() { cudaEventDestroy(event_); }

}  // namespace weir::cuda
