// The CUDA backend: Llama models in fp16 or bf16 on one NVIDIA GPU of compute capability 8.x or 9.0.
#pragma once

#include <cstdint>
#include <memory>

#include "backend/backend.h"

namespace weir::cuda {

// Throws Error WEIR_DEVICE_UNAVAILABLE with the reason.
void probe_cuda(int32_t ordinal);
std::unique_ptr<Backend> open_cuda(const weir_device_options& options);

}  // namespace weir::cuda
