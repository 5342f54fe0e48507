// What launches need to know of the device that the calling thread uses.
#pragma once

#include <cstdint>

namespace weir::cuda {

// Compute capability, such as 90, as Device::use() left it; 0 before.
inline thread_local int32_t current_compute_capability = 0;

}  // namespace weir::cuda
