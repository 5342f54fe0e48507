// Philox4x32-10, a counter-based random number generator: J. Salmon et al., "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011. The same (key, counter) gives the same number on every device, whatever was drawn
// before.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace weir {

struct PhiloxBlock {
  uint32_t word[4];
};

WEIR_HOST_DEVICE inline PhiloxBlock philox(uint64_t key, uint64_t counter_low, uint64_t counter_high) {
  uint32_t c0 = static_cast<uint32_t>(counter_low), c1 = static_cast<uint32_t>(counter_low >> 32);
  uint32_t c2 = static_cast<uint32_t>(counter_high), c3 = static_cast<uint32_t>(counter_high >> 32);
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; round++) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c0;
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(p1);
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// Uniform in [0, 1) with 53 bits.
WEIR_HOST_DEVICE inline double philox_uniform(uint64_t key, uint64_t counter) {
  const PhiloxBlock block = philox(key, counter, 0);
  const uint64_t bits = (uint64_t{block.word[0]} << 32 | block.word[1]) >> 11;
  return static_cast<double>(bits) * 0x1.0p-53;
}

}  // namespace weir
