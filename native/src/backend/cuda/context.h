// Runs the operators of steps on one stream of a CUDA device.
#pragma once

#include <memory>

#include "backend/backend.h"
#include "backend/cuda/device.h"

namespace weir::cuda {

std::unique_ptr<Context> make_context(std::shared_ptr<const Device> device, const ContextLimits& limits);

// What one takes on the device.
int64_t context_bytes(const Device& device, const ContextLimits& limits);
int64_t graph_bytes(const Device& device, const ContextLimits& limits, int32_t layers);

}  // namespace weir::cuda
