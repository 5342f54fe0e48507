// The CPU backends: threaded fp32 with oneDNN, and the plain fp32 reference.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace weir::cpu {

std::unique_ptr<Backend> open_cpu(const weir_device_options& options);

}  // namespace weir::cpu
