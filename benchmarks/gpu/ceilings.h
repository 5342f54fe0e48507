// What the device can do at best, measured by kernels and copies that do nothing else.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "options.h"
#include "results.h"

namespace weir::benchmark {

// Measures all of them on the current device and reports each.
Ceilings measure_ceilings(const Options& options, Report& report);

// Launches on `stream`: a kernel of `blocks` blocks that reads `bytes` (a multiple of 16) with loads of 16
// bytes and may write 4 bytes to `out`; and one that does nothing.
void read_memory(cudaStream_t stream, int32_t blocks, const void* data, int64_t bytes, void* out);
void launch_nothing(cudaStream_t stream);

}  // namespace weir::benchmark
