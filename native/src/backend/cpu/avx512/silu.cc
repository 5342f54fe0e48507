#include "backend/cpu/avx512/operators.h"
#include "backend/cpu/avx512/vector.h"
#include "backend/cpu/operators.h"

#if defined(WEIR_HAS_AVX512)

namespace weir::cpu::avx512 {
namespace {

// e^x to about 2 ulp, infinity where that overflows; of a NaN, some number. Reduction by Cody and Waite,
// polynomial from the Cephes library (S. Moshier), as fast_exp() of simd.h.
WEIR_AVX512_INLINE __m512 exp(__m512 x) {
  // Wide enough that the result at the bounds is 0 and infinity.
  const __m512 clamped = _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-104.0f)), _mm512_set1_ps(104.0f));
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(clamped, _mm512_set1_ps(1.44269504088896341f)), 0);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), clamped);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.9875691500e-4f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
  p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
  return _mm512_scalef_ps(p, n);
}

template <typename Out>
WEIR_AVX512 void silu_row(const float* gate, const float* up, int64_t columns, Out* out) {
  const __m512 one = _mm512_set1_ps(1.0f);
  for (int64_t i = 0; i < columns; i += kLanes) {
    const __mmask16 lanes = first_lanes(columns - i);
    const __m512 g = _mm512_maskz_loadu_ps(lanes, gate + i);
    const __m512 negated = _mm512_sub_ps(_mm512_setzero_ps(), g);
    const __m512 silu = _mm512_div_ps(g, _mm512_add_ps(one, exp(negated)));
    store(out + i, lanes, _mm512_mul_ps(silu, _mm512_maskz_loadu_ps(lanes, up + i)));
  }
}

}  // namespace

template <typename Out>
void silu_multiply(const float* gate_up, int64_t rows, int64_t columns, Out* out, ThreadPool& threads) {
  threads.run_if(rows * columns > parallel_work.elements, rows, [&](int64_t row, int) {
    const float* gate = gate_up + row * 2 * columns;
    silu_row(gate, gate + columns, columns, out + row * columns);
  });
}

template void silu_multiply(const float*, int64_t, int64_t, float*, ThreadPool&);
template void silu_multiply(const float*, int64_t, int64_t, Bfloat16*, ThreadPool&);

}  // namespace weir::cpu::avx512

#endif
