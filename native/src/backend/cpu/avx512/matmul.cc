#include "backend/cpu/avx512/matmul.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "backend/cpu/avx512/vector.h"

#if defined(WEIR_HAS_AVX512)

namespace weir::cpu::avx512 {
namespace {

// Bytes of weights for one unit of input of a block.
constexpr int64_t kUnitBytes = kPackedColumns * 4;
constexpr int kVectors = kPackedColumns / 16;
// Rows that share the weights in registers: 6 x 4 accumulators, 4 weights and an input make 29 of 32
// registers.
constexpr int64_t kTileRows = 6;

struct Bf16Sum {
  using Type = __m512;
  WEIR_AVX512 static Type zero() { return _mm512_setzero_ps(); }
  WEIR_AVX512 static Type load(const float* from) { return _mm512_loadu_ps(from); }
  WEIR_AVX512 static void store(float* to, Type sum) { _mm512_storeu_ps(to, sum); }
  WEIR_AVX512 static Type add(Type sum, __m512i x, __m512i weights) {
    return _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)weights);
  }
  WEIR_AVX512 static void finish(float* to, Type sum, const Dequantization&, int64_t, int64_t) {
    _mm512_storeu_ps(to, sum);
  }
};

// Unfinished sums wait as integers in the place of the floats.
struct Int8Sum {
  using Type = __m512i;
  WEIR_AVX512 static Type zero() { return _mm512_setzero_si512(); }
  WEIR_AVX512 static Type load(const float* from) { return _mm512_loadu_si512(from); }
  WEIR_AVX512 static void store(float* to, Type sum) { _mm512_storeu_si512(to, sum); }
  WEIR_AVX512 static Type add(Type sum, __m512i x, __m512i weights) {
    return _mm512_dpbusd_epi32(sum, x, weights);
  }
  WEIR_AVX512 static void finish(float* to, Type sum, const Dequantization& d, int64_t row, int64_t column) {
    const __m512i exact = _mm512_sub_epi32(sum, _mm512_loadu_si512(d.column_offsets + column));
    const __m512 scale =
        _mm512_mul_ps(_mm512_loadu_ps(d.column_scales + column), _mm512_set1_ps(d.row_scales[row]));
    _mm512_storeu_ps(to, _mm512_mul_ps(_mm512_cvtepi32_ps(exact), scale));
  }
};

// Where a tile stands in its multiplication.
struct Slab {
  bool first;
  bool last;
  int64_t units;
  int64_t row;     // of the first row, for the scales
  int64_t column;  // of the first column
};

// Adds up `Rows` rows against `Blocks` blocks over one slab of the inputs. `Lines` cache lines at `prefetch`
// are asked for with each unit.
template <typename Sum, int Rows, int Blocks, int Lines>
WEIR_AVX512 void multiply_tile(const char* weights, int64_t block_bytes, const char* x, int64_t x_stride,
                               const Slab& slab, const char* prefetch, const Dequantization& dequantization,
                               float* out, int64_t out_stride) {
  constexpr int kWide = kVectors * Blocks;
  typename Sum::Type sums[Rows][kWide];
#pragma GCC unroll 6
  for (int r = 0; r < Rows; r++) {
#pragma GCC unroll 16
    for (int v = 0; v < kWide; v++) {
      sums[r][v] = slab.first ? Sum::zero() : Sum::load(out + r * out_stride + v * 16);
    }
  }
  for (int64_t unit = 0; unit < slab.units; unit++) {
    __m512i loaded[kWide];
#pragma GCC unroll 16
    for (int v = 0; v < kWide; v++) {
      loaded[v] =
          _mm512_loadu_si512(weights + v / kVectors * block_bytes + unit * kUnitBytes + v % kVectors * 64);
    }
#pragma GCC unroll 4
    for (int line = 0; line < Lines; line++) {
      _mm_prefetch(prefetch + (unit * Lines + line) * 64, _MM_HINT_T0);
    }
#pragma GCC unroll 6
    for (int r = 0; r < Rows; r++) {
      int32_t bits;
      std::memcpy(&bits, x + r * x_stride + unit * 4, sizeof bits);
      const __m512i inputs = _mm512_set1_epi32(bits);
#pragma GCC unroll 16
      for (int v = 0; v < kWide; v++) sums[r][v] = Sum::add(sums[r][v], inputs, loaded[v]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < Rows; r++) {
#pragma GCC unroll 16
    for (int v = 0; v < kWide; v++) {
      float* to = out + r * out_stride + v * 16;
      if (slab.last) {
        Sum::finish(to, sums[r][v], dequantization, slab.row + r, slab.column + v * 16);
      } else {
        Sum::store(to, sums[r][v]);
      }
    }
  }
}

template <typename Sum, int Lines>
WEIR_AVX512 void multiply_rows(int64_t rows, const char* weights, const char* x, int64_t x_stride,
                               const Slab& slab, const char* prefetch, const Dequantization& d, float* out,
                               int64_t out_stride) {
  switch (rows) {
    case 1:
      return multiply_tile<Sum, 1, 1, Lines>(weights, 0, x, x_stride, slab, prefetch, d, out, out_stride);
    case 2:
      return multiply_tile<Sum, 2, 1, Lines>(weights, 0, x, x_stride, slab, prefetch, d, out, out_stride);
    case 3:
      return multiply_tile<Sum, 3, 1, Lines>(weights, 0, x, x_stride, slab, prefetch, d, out, out_stride);
    case 4:
      return multiply_tile<Sum, 4, 1, Lines>(weights, 0, x, x_stride, slab, prefetch, d, out, out_stride);
    case 5:
      return multiply_tile<Sum, 5, 1, Lines>(weights, 0, x, x_stride, slab, prefetch, d, out, out_stride);
    default:
      return multiply_tile<Sum, 6, 1, Lines>(weights, 0, x, x_stride, slab, prefetch, d, out, out_stride);
  }
}

// All rows against one block of which all 64 columns exist. The inputs are cut into slabs, whose weights stay
// in the cache while the rows pass in tiles; meanwhile the next slab, which lies behind this one in memory,
// is fetched: every tile asks for its share of the lines, so that memory works all the time.
template <typename Sum>
WEIR_AVX512 void multiply_block(const PackedShape& shape, const char* weights, const char* x,
                                int64_t x_stride, int64_t rows, int64_t column, const Dequantization& d,
                                float* out, int64_t out_stride) {
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  // Measured (benchmarks/cpu/LOG.md): with few tiles this slab and the next one must fit the first-level
  // cache together; with many, the sums' way to memory and back weighs more.
  const int64_t slab_units = rows <= 12 ? 64 : 256;
  const int64_t units = shape.units();
  for (int64_t unit = 0; unit < units; unit += slab_units) {
    const int64_t in_slab = std::min(slab_units, units - unit);
    const char* from = weights + unit * kUnitBytes;
    const char* next = from + slab_units * kUnitBytes;
    int64_t row = 0;
    for (int64_t tile = 0; tile < tiles; tile++) {
      const int64_t end = rows * (tile + 1) / tiles;
      const Slab slab{unit == 0, unit + in_slab == units, in_slab, row, column};
      const char* x_tile = x + row * x_stride + unit * 4;
      float* out_tile = out + row * out_stride;
      // Four lines a unit are to be fetched in all.
      if (tiles == 1) {
        multiply_rows<Sum, 4>(end - row, from, x_tile, x_stride, slab, next, d, out_tile, out_stride);
      } else if (tiles == 2 || (tiles == 3 && tile == 0)) {
        multiply_rows<Sum, 2>(end - row, from, x_tile, x_stride, slab, next + tile * in_slab * 128, d,
                              out_tile, out_stride);
      } else if (tile < 4) {
        const int64_t line = (tiles == 3 ? tile + 1 : tile) * in_slab;
        multiply_rows<Sum, 1>(end - row, from, x_tile, x_stride, slab, next + line * 64, d, out_tile,
                              out_stride);
      } else {
        multiply_rows<Sum, 0>(end - row, from, x_tile, x_stride, slab, next, d, out_tile, out_stride);
      }
      row = end;
    }
  }
}

// The last block, of which only `columns` columns exist.
template <typename Sum>
WEIR_AVX512 void multiply_partial_block(const PackedShape& shape, const char* weights, const char* x,
                                        int64_t x_stride, int64_t rows, int64_t column, int64_t columns,
                                        const Dequantization& d, float* out, int64_t out_stride) {
  float whole[kTileRows * kPackedColumns];
  for (int64_t row = 0; row < rows; row += kTileRows) {
    const int64_t count = std::min(kTileRows, rows - row);
    const Slab slab{true, true, shape.units(), row, column};
    multiply_rows<Sum, 0>(count, weights, x + row * x_stride, x_stride, slab, weights, d, whole,
                          kPackedColumns);
    for (int64_t r = 0; r < count; r++) {
      std::memcpy(out + (row + r) * out_stride, whole + r * kPackedColumns, columns * sizeof(float));
    }
  }
}

template <typename Sum>
WEIR_AVX512 void multiply(const PackedShape& shape, const char* weights, int64_t first, int64_t last,
                          const char* x, int64_t x_stride, int64_t rows, const Dequantization& d, float* out,
                          int64_t out_stride) {
  const int64_t block_bytes = shape.block_bytes();
  const int64_t whole = std::min(last, shape.out / kPackedColumns);
  int64_t block = first;
  const Slab all{true, true, shape.units(), 0, 0};
  // With one or two rows several blocks at a time keep enough sums in flight.
  if (rows == 1) {
    for (; block + 4 <= whole; block += 4) {
      Slab slab = all;
      slab.column = block * kPackedColumns;
      multiply_tile<Sum, 1, 4, 0>(weights + block * block_bytes, block_bytes, x, x_stride, slab, nullptr, d,
                                  out + slab.column, out_stride);
    }
  } else if (rows == 2) {
    for (; block + 2 <= whole; block += 2) {
      Slab slab = all;
      slab.column = block * kPackedColumns;
      multiply_tile<Sum, 2, 2, 0>(weights + block * block_bytes, block_bytes, x, x_stride, slab, nullptr, d,
                                  out + slab.column, out_stride);
    }
  }
  for (; block < whole; block++) {
    const int64_t column = block * kPackedColumns;
    multiply_block<Sum>(shape, weights + block * block_bytes, x, x_stride, rows, column, d, out + column,
                        out_stride);
  }
  if (block < last) {
    const int64_t column = block * kPackedColumns;
    multiply_partial_block<Sum>(shape, weights + block * block_bytes, x, x_stride, rows, column,
                                shape.out - column, d, out + column, out_stride);
  }
}

// Infinite or NaN if any element is: compared as integers, NaNs are the largest.
WEIR_AVX512 float largest_magnitude(const float* x, int64_t count) {
  const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
  __m512i largest = _mm512_setzero_si512();
  for (int64_t i = 0; i < count; i += 16) {
    const __m512i bits = _mm512_maskz_loadu_epi32(first_lanes(count - i), x + i);
    largest = _mm512_max_epu32(largest, _mm512_and_si512(bits, magnitude));
  }
  const uint32_t bits = _mm512_reduce_max_epu32(largest);
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

// How a row of numbers becomes integers from -127 to 127. What is not finite cannot: its scale is NaN, so
// that what is computed with it is NaN as well.
struct Quantization {
  explicit Quantization(float largest) {
    if (!std::isfinite(largest)) {
      scale = std::numeric_limits<float>::quiet_NaN();
    } else if (std::isfinite(127 / largest)) {
      scale = largest / 127;
      inverse = 127 / largest;
    }
  }
  float scale = 0;
  float inverse = 0;  // 0: every number becomes 0
};

}  // namespace

void multiply_blocks(const PackedShape& shape, const Bfloat16* weights, int64_t first_block,
                     int64_t last_block, const Bfloat16* x, int64_t x_stride, int64_t rows, float* out,
                     int64_t out_stride) {
  multiply<Bf16Sum>(shape, reinterpret_cast<const char*>(weights), first_block, last_block,
                    reinterpret_cast<const char*>(x), x_stride, rows, {}, out, out_stride);
}

void multiply_blocks(const PackedShape& shape, const int8_t* weights, int64_t first_block, int64_t last_block,
                     const uint8_t* x, int64_t x_stride, int64_t rows, const Dequantization& dequantization,
                     float* out, int64_t out_stride) {
  multiply<Int8Sum>(shape, reinterpret_cast<const char*>(weights), first_block, last_block,
                    reinterpret_cast<const char*>(x), x_stride, rows, dequantization, out, out_stride);
}

WEIR_AVX512 void pack_block(const PackedShape& shape, const float* rows, int64_t count, Bfloat16* block) {
  // Sixteen inputs of an output at a time become eight units, written in the output's column.
  std::memset(static_cast<void*>(block), 0, shape.block_bytes());
  auto* units = reinterpret_cast<int32_t*>(block);
  for (int64_t o = 0; o < count; o++) {
    const float* row = rows + o * shape.in;
    for (int64_t i = 0; i < shape.in; i += 16) {
      const int64_t left = shape.in - i;
      const __mmask16 mask = left >= 16 ? 0xFFFF : static_cast<__mmask16>((1 << left) - 1);
      alignas(32) int32_t pairs[8];
      _mm256_store_si256(reinterpret_cast<__m256i*>(pairs),
                         (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, row + i)));
      for (int64_t u = 0; u < std::min<int64_t>(8, (left + 1) / 2); u++) {
        units[(i / 2 + u) * kPackedColumns + o] = pairs[u];
      }
    }
  }
}

WEIR_AVX512 void pack_block(const PackedShape& shape, const float* rows, int64_t count, int8_t* block,
                            float* scales, int32_t* offsets) {
  std::memset(block, 0, shape.block_bytes());
  for (int64_t o = 0; o < kPackedColumns; o++) {
    scales[o] = 0;
    offsets[o] = 0;
  }
  for (int64_t o = 0; o < count; o++) {
    const float* row = rows + o * shape.in;
    const Quantization quantization(largest_magnitude(row, shape.in));
    scales[o] = quantization.scale;
    if (quantization.inverse == 0) continue;
    int32_t sum = 0;
    for (int64_t i = 0; i < shape.in; i++) {
      const auto quantized = static_cast<int32_t>(std::nearbyint(row[i] * quantization.inverse));
      block[(i / 4 * kPackedColumns + o) * 4 + i % 4] = static_cast<int8_t>(quantized);
      sum += quantized;
    }
    offsets[o] = 128 * sum;
  }
}

WEIR_AVX512 float quantize_row(const float* x, int64_t count, int64_t padded, uint8_t* out) {
  const Quantization quantization(largest_magnitude(x, count));
  if (quantization.inverse == 0) {
    std::memset(out, 128, static_cast<size_t>(padded));
    return quantization.scale;
  }
  const __m512 inverse = _mm512_set1_ps(quantization.inverse);
  const __m512i offset = _mm512_set1_epi32(128);
  for (int64_t i = 0; i < padded; i += 16) {
    const __mmask16 read = i < count ? first_lanes(count - i) : __mmask16{0};
    const __m512i rounded = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_maskz_loadu_ps(read, x + i), inverse));
    _mm_mask_storeu_epi8(out + i, first_lanes(padded - i),
                         _mm512_cvtepi32_epi8(_mm512_add_epi32(rounded, offset)));
  }
  return quantization.scale;
}

WEIR_AVX512 void dequantize(const Dequantization& dequantization, int64_t column, int64_t width, int64_t rows,
                            float* out, int64_t out_stride) {
  for (int64_t row = 0; row < rows; row++) {
    float* to = out + row * out_stride;
    int64_t i = 0;
    for (; i + 16 <= width; i += 16) {
      Int8Sum::finish(to + i, Int8Sum::load(to + i), dequantization, row, column + i);
    }
    for (; i < width; i++) {
      int32_t sum;
      std::memcpy(&sum, to + i, sizeof sum);
      to[i] = static_cast<float>(sum - dequantization.column_offsets[column + i]) *
              (dequantization.column_scales[column + i] * dequantization.row_scales[row]);
    }
  }
}

void unpack_row(const PackedShape& shape, const Bfloat16* weights, int64_t row, float* out) {
  const Bfloat16* block = weights + row / kPackedColumns * (shape.block_bytes() / 2);
  for (int64_t i = 0; i < shape.in; i++) {
    out[i] = to_float(block[(i / 2 * kPackedColumns + row % kPackedColumns) * 2 + i % 2]);
  }
}

}  // namespace weir::cpu::avx512

#endif
