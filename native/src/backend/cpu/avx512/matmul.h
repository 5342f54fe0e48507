// Multiplication by a packed matrix, in bfloat16 or in 8-bit integers.
#pragma once

#include <cstdint>

#include "backend/cpu/bfloat16.h"

namespace weir::cpu::avx512 {

// Output columns whose weights lie together.
constexpr int64_t kPackedColumns = 64;

// The packed layout of an [out][in] matrix, which oneDNN calls BA16a64b2a (bfloat16) and BA16a64b4a (8 bits):
// blocks of 64 outputs; in a block, for every pair (or four) of inputs, the 64 pairs (or fours). Both count
// in units of four bytes. Inputs are filled up to 32 (or 64), outputs to 64, with zeros.
struct PackedShape {
  int64_t out = 0;
  int64_t in = 0;
  int64_t element_bytes = 2;

  int64_t per_unit() const { return 4 / element_bytes; }
  int64_t blocks() const { return (out + kPackedColumns - 1) / kPackedColumns; }
  // Units with data in a block, and with filling.
  int64_t units() const { return (in + per_unit() - 1) / per_unit(); }
  int64_t padded_units() const { return (units() + 15) / 16 * 16; }
  int64_t block_bytes() const { return padded_units() * kPackedColumns * 4; }
  int64_t bytes() const { return blocks() * block_bytes(); }
};

// Packs `count` outputs (rows of the matrix, [count][in]) that begin one block. `count` <= 64.
void pack_block(const PackedShape& shape, const float* rows, int64_t count, Bfloat16* block);
// Also writes the scale of each output, and 128 times the sum of its quantized weights. Weights are rounded
// to -127..127 times the scale, which is the largest magnitude of the output over 127.
void pack_block(const PackedShape& shape, const float* rows, int64_t count, int8_t* block, float* scales,
                int32_t* offsets);

// What turns the integer sums of an 8-bit multiplication into floats. An input row is kept as unsigned
// numbers, 128 more than the signed ones, because the instruction multiplies unsigned by signed; `offsets`
// takes that back.
struct Dequantization {
  const float* row_scales = nullptr;
  const float* column_scales = nullptr;
  const int32_t* column_offsets = nullptr;
};

// Rounds a row of `count` floats to `padded` (a multiple of four) unsigned bytes and returns its scale, which
// is NaN if an element is not finite.
float quantize_row(const float* x, int64_t count, int64_t padded, uint8_t* out);

// The blocks [first_block, last_block) of out = x * weights^T: x has `rows` rows of shape.units() units,
// `x_stride` bytes apart; out has shape.out columns, rows out_stride floats apart. Each output is the sum
// over the inputs in their order in one accumulator, so it does not depend on the other rows.
void multiply_blocks(const PackedShape& shape, const Bfloat16* weights, int64_t first_block,
                     int64_t last_block, const Bfloat16* x, int64_t x_stride, int64_t rows, float* out,
                     int64_t out_stride);
void multiply_blocks(const PackedShape& shape, const int8_t* weights, int64_t first_block, int64_t last_block,
                     const uint8_t* x, int64_t x_stride, int64_t rows, const Dequantization& dequantization,
                     float* out, int64_t out_stride);

// Turns integer sums in the place of the floats of `out` into floats: `rows` rows of the columns [column,
// column + width).
void dequantize(const Dequantization& dequantization, int64_t column, int64_t width, int64_t rows, float* out,
                int64_t out_stride);

// Output row `row` of a packed matrix, in order: an embedding that shares its weights with the head.
void unpack_row(const PackedShape& shape, const Bfloat16* weights, int64_t row, float* out);

}  // namespace weir::cpu::avx512
