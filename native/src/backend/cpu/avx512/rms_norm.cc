#include "backend/cpu/avx512/operators.h"
#include "backend/cpu/avx512/vector.h"
#include "backend/cpu/operators.h"

#if defined(WEIR_HAS_AVX512)

#include <cmath>

namespace weir::cpu::avx512 {
namespace {

// Four sums, so that an addition does not wait for the one before.
struct Squares {
  __m512 sums[4];
};

WEIR_AVX512_INLINE float scale_of(const Squares& squares, int64_t columns, float epsilon) {
  const __m512 sum = _mm512_add_ps(_mm512_add_ps(squares.sums[0], squares.sums[1]),
                                   _mm512_add_ps(squares.sums[2], squares.sums[3]));
  return 1.0f / std::sqrt(_mm512_reduce_add_ps(sum) / static_cast<float>(columns) + epsilon);
}

template <typename Out>
WEIR_AVX512 void scale_row(const float* x, const float* gain, float scale, int64_t columns, Out* out) {
  const __m512 scales = _mm512_set1_ps(scale);
  for (int64_t i = 0; i < columns; i += kLanes) {
    const __mmask16 lanes = first_lanes(columns - i);
    const __m512 scaled = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, x + i), scales);
    store(out + i, lanes, _mm512_mul_ps(scaled, _mm512_maskz_loadu_ps(lanes, gain + i)));
  }
}

template <typename Out>
WEIR_AVX512 void norm_row(const float* x, const float* gain, float epsilon, int64_t columns, Out* out) {
  Squares squares = {};
  for (int64_t i = 0; i < columns; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
      const int64_t at = i + k * kLanes;
      if (at >= columns) break;
      const __m512 values = _mm512_maskz_loadu_ps(first_lanes(columns - at), x + at);
      squares.sums[k] = _mm512_fmadd_ps(values, values, squares.sums[k]);
    }
  }
  scale_row(x, gain, scale_of(squares, columns, epsilon), columns, out);
}

template <typename Out>
WEIR_AVX512 void add_norm_row(float* residual, const float* delta, const float* gain, float epsilon,
                              int64_t columns, Out* out) {
  Squares squares = {};
  for (int64_t i = 0; i < columns; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
      const int64_t at = i + k * kLanes;
      if (at >= columns) break;
      const __mmask16 lanes = first_lanes(columns - at);
      const __m512 values = _mm512_add_ps(_mm512_maskz_loadu_ps(lanes, residual + at),
                                          _mm512_maskz_loadu_ps(lanes, delta + at));
      store(residual + at, lanes, values);
      squares.sums[k] = _mm512_fmadd_ps(values, values, squares.sums[k]);
    }
  }
  scale_row(residual, gain, scale_of(squares, columns, epsilon), columns, out);
}

}  // namespace

template <typename Out>
void rms_norm(const float* x, const float* gain, float epsilon, int64_t rows, int64_t columns, Out* out,
              ThreadPool& threads) {
  threads.run_if(rows * columns > parallel_work.elements, rows, [&](int64_t row, int) {
    norm_row(x + row * columns, gain, epsilon, columns, out + row * columns);
  });
}

template <typename Out>
void add_rms_norm(float* residual, const float* delta, const float* gain, float epsilon, int64_t rows,
                  int64_t columns, Out* out, ThreadPool& threads) {
  threads.run_if(rows * columns > parallel_work.elements, rows, [&](int64_t row, int) {
    add_norm_row(residual + row * columns, delta + row * columns, gain, epsilon, columns,
                 out + row * columns);
  });
}

template void rms_norm(const float*, const float*, float, int64_t, int64_t, float*, ThreadPool&);
template void rms_norm(const float*, const float*, float, int64_t, int64_t, Bfloat16*, ThreadPool&);
template void add_rms_norm(float*, const float*, const float*, float, int64_t, int64_t, float*, ThreadPool&);
template void add_rms_norm(float*, const float*, const float*, float, int64_t, int64_t, Bfloat16*,
                           ThreadPool&);

}  // namespace weir::cpu::avx512

#endif
