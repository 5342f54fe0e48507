// Whether steps and their phases are marked for profilers (weir_profile_ranges).
#pragma once

#include <atomic>

namespace weir {

inline std::atomic<bool> profile_ranges{false};

}  // namespace weir
