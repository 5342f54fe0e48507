// Where the keys and values of a token lie in the paged pool. Index arithmetic only, for host and device
// code.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/host_device.h"

namespace weir {

// The pool is [block][layer][K|V][kv_head][block_size][head_size]: a block of all layers is one contiguous
// piece, so a swap or a copy-on-write is one copy; the keys (or values) of one head in one block are
// contiguous as well.
struct KvLayout {
  int32_t block_size = 0;
  int32_t layers = 0;
  int32_t kv_heads = 0;
  int32_t head_size = 0;
  int32_t element_bytes = 4;

  WEIR_HOST_DEVICE int64_t tile_elements() const { return int64_t{block_size} * head_size; }
  WEIR_HOST_DEVICE int64_t block_elements() const { return int64_t{layers} * 2 * kv_heads * tile_elements(); }
  WEIR_HOST_DEVICE int64_t block_bytes() const { return block_elements() * element_bytes; }
  WEIR_HOST_DEVICE int64_t bytes_per_token() const { return block_bytes() / block_size; }

  // First element of the [block_size][head_size] tile of keys of `head`; 64-bit because pools exceed 2^31
  // elements.
  WEIR_HOST_DEVICE int64_t key_tile(int32_t block, int32_t layer, int32_t head) const {
    return block * block_elements() + (int64_t{layer} * 2 * kv_heads + head) * tile_elements();
  }
  WEIR_HOST_DEVICE int64_t value_tile(int32_t block, int32_t layer, int32_t head) const {
    return key_tile(block, layer, head) + int64_t{kv_heads} * tile_elements();
  }
};

}  // namespace weir
