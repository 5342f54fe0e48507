#include "backend/cuda/cuda_backend.h"
#include "core/error.h"

namespace weir::cuda {

void probe_cuda(int32_t) {
  throw Error(WEIR_DEVICE_UNAVAILABLE,
              "no CUDA device: libweir was built on a machine without nvcc; use the device kind cpu, or "
              "build with the CUDA toolkit");
}

std::unique_ptr<Backend> open_cuda(const weir_device_options& options) {
  probe_cuda(options.ordinal);
  return nullptr;
}

}  // namespace weir::cuda
