// Ranges on the time line of Nsight Systems and Nsight Compute (weir_profile_ranges).
#pragma once

#include "core/profile_ranges.h"

#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define WEIR_HAS_NVTX 1
#endif

namespace weir::cuda {

// From construction to the end of its life, on the calling thread; ranges nest. Where ranges are off it costs
// one load and a branch.
class Range {
 public:
  explicit Range(const char* name) {
#if defined(WEIR_HAS_NVTX)
    if (!profile_ranges.load(std::memory_order_relaxed)) return;
    nvtxRangePushA(name);
    pushed_ = true;
#else
    (void)name;
#endif
  }
  ~Range() {
#if defined(WEIR_HAS_NVTX)
    if (pushed_) nvtxRangePop();
#endif
  }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;

 private:
#if defined(WEIR_HAS_NVTX)
  bool pushed_ = false;
#endif
};

}  // namespace weir::cuda
