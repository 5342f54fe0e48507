#include "abi/guard.h"
#include "core/profile_ranges.h"

using namespace weir;
using namespace weir::abi;

weir_status weir_profile_ranges(int32_t enabled, weir_error* error) {
  return guard(error, [&] {
    check_range("enabled", enabled, 0, 1);
    profile_ranges.store(enabled != 0, std::memory_order_relaxed);
  });
}
