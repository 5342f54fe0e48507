#include "backend/backend.h"

#include "backend/cpu/cpu_backend.h"
#include "backend/cuda/cuda_backend.h"
#include "core/error.h"

namespace weir {

std::unique_ptr<Backend> open_backend(const weir_device_options& options) {
  switch (options.kind) {
    case WEIR_DEVICE_CPU:
    case WEIR_DEVICE_CPU_REFERENCE:
      return cpu::open_cpu(options);
    case WEIR_DEVICE_CUDA:
      return cuda::open_cuda(options);
    default:
      throw invalid_argument("device kind " + std::to_string(options.kind) +
                             " does not exist; there are WEIR_DEVICE_CPU, WEIR_DEVICE_CPU_REFERENCE and "
                             "WEIR_DEVICE_CUDA");
  }
}

void probe_backend(weir_device_kind kind, int32_t ordinal) {
  if (kind == WEIR_DEVICE_CUDA) {
    cuda::probe_cuda(ordinal);
  } else {
    weir_device_options options{};
    options.struct_size = sizeof options;
    options.kind = kind;
    options.ordinal = ordinal;
    open_backend(options);
  }
}

}  // namespace weir
