// Where the keys and values of a token lie in the paged pool. Index arithmetic only, for host and device
// code.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/host_device.h"
#include "weir.h"

namespace weir {

// How a backend keeps the keys and values of one precision.
struct KvElement {
  weir_precision precision = WEIR_PRECISION_FP32;  // never WEIR_PRECISION_DEFAULT
  int32_t bytes = 4;
  bool scaled = false;  // each key and each value of a head has a 32-bit scale
};

// The pool is [block][layer][K|V][kv_head][block_size][head_size]: a block of all layers is one contiguous
// piece, so a swap or a copy-on-write is one copy; the keys (or values) of one head in one block are
// contiguous as well. Where elements have scales, a block begins at a multiple of 16 bytes, and after its
// elements come [layer][K|V][kv_head][block_size] scales.
struct KvLayout {
  int32_t block_size = 0;
  int32_t layers = 0;
  int32_t kv_heads = 0;
  int32_t head_size = 0;
  KvElement element;

  WEIR_HOST_DEVICE int64_t tile_elements() const { return int64_t{block_size} * head_size; }
  WEIR_HOST_DEVICE int64_t tiles() const { return int64_t{layers} * 2 * kv_heads; }
  WEIR_HOST_DEVICE int64_t block_elements() const { return tiles() * tile_elements(); }
  WEIR_HOST_DEVICE int64_t data_bytes() const {
    const int64_t bytes = block_elements() * element.bytes;
    return element.scaled ? round_up(bytes) : bytes;
  }
  WEIR_HOST_DEVICE int64_t block_bytes() const {
    const int64_t scales = tiles() * block_size * int64_t{sizeof(float)};
    return element.scaled ? data_bytes() + round_up(scales) : data_bytes();
  }

  // Which of the tiles() tiles of a block holds the keys of `head`, and which its values.
  WEIR_HOST_DEVICE int64_t key_tile_index(int32_t layer, int32_t head) const {
    return int64_t{layer} * 2 * kv_heads + head;
  }
  WEIR_HOST_DEVICE int64_t value_tile_index(int32_t layer, int32_t head) const {
    return key_tile_index(layer, head) + kv_heads;
  }
  // First byte of a tile [block_size][head_size], and of its scales [block_size]; 64-bit because pools exceed
  // 2^31 bytes.
  WEIR_HOST_DEVICE int64_t tile_offset(int32_t block, int64_t tile) const {
    return block * block_bytes() + tile * tile_elements() * element.bytes;
  }
  WEIR_HOST_DEVICE int64_t scales_offset(int32_t block, int64_t tile) const {
    return block * block_bytes() + data_bytes() + tile * block_size * int64_t{sizeof(float)};
  }

  // First element of the tile of keys of `head`, where elements have no scales.
  WEIR_HOST_DEVICE int64_t key_tile(int32_t block, int32_t layer, int32_t head) const {
    return block * block_elements() + key_tile_index(layer, head) * tile_elements();
  }
  WEIR_HOST_DEVICE int64_t value_tile(int32_t block, int32_t layer, int32_t head) const {
    return key_tile(block, layer, head) + int64_t{kv_heads} * tile_elements();
  }

 private:
  WEIR_HOST_DEVICE static int64_t round_up(int64_t bytes) { return (bytes + 15) / 16 * 16; }
};

}  // namespace weir
