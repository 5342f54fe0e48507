// Random weights, the same on every device: element i of a weight is a function of (seed, stream, i).
#pragma once

#include <cmath>
#include <cstdint>

#include "core/host_device.h"
#include "core/philox.h"

namespace weir {

// Elements 4 * group .. 4 * group + 3 of a weight come from one block of random numbers.
WEIR_HOST_DEVICE inline PhiloxBlock random_weight_block(uint64_t seed, uint64_t stream, int64_t group) {
  return philox(seed, static_cast<uint64_t>(group) * 4, stream);
}

// Uniform around `mean`; `width` is that of the interval.
WEIR_HOST_DEVICE inline float random_weight(uint32_t word, float mean, float width) {
  return mean + width * (static_cast<float>(word >> 8) * 0x1.0p-24f - 0.5f);
}

// Of the uniform distribution with this standard deviation.
inline float random_weight_width(float deviation) { return deviation * std::sqrt(12.0f); }

}  // namespace weir
