// The CUDA backend. It has no operators yet: it finds devices and says why it cannot be used.
#pragma once

#include <cstdint>
#include <memory>

#include "backend/backend.h"

namespace weir::cuda {

// Always throws, as long as there are no operators: Error WEIR_DEVICE_UNAVAILABLE with the reason.
[[noreturn]] void probe_cuda(int32_t ordinal);
[[noreturn]] std::unique_ptr<Backend> open_cuda(const weir_device_options& options);

}  // namespace weir::cuda
