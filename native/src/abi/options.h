// The options structs of weir.h with the defaults filled in and every field checked.
#pragma once

#include <cstdint>
#include <limits>

#include "backend/kv_layout.h"
#include "weir.h"

namespace weir::abi {

// Block ids are 32-bit.
inline constexpr int64_t kMaxBlocks = std::numeric_limits<int32_t>::max();

// Also checks what the options point to.
weir_model_options checked_model_options(const weir_model_options* options);
weir_cache_options checked_cache_options(const weir_cache_options* options);
weir_step_options checked_step_options(const weir_step_options* options);

// Gives `blocks` a value if `bytes` has one. Throws if that is no whole block, or more than can be addressed.
weir_cache_options with_blocks(weir_cache_options options, const KvLayout& layout);

}  // namespace weir::abi
