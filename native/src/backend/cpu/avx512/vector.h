// Registers of 16 floats and of 32 bfloat16, to and from memory.
#pragma once

#include "backend/cpu/avx512/target.h"

#if defined(WEIR_HAS_AVX512)

// False alarms in the intrinsics of gcc 12, https://gcc.gnu.org/bugzilla/show_bug.cgi?id=105593
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif

#include <cstdint>
#include <cstring>

#include "backend/cpu/bfloat16.h"

#define WEIR_AVX512_INLINE WEIR_AVX512 __attribute__((always_inline)) inline

namespace weir::cpu::avx512 {

constexpr int32_t kLanes = 16;

// The lanes of the first `count` elements, all of them if there are more.
WEIR_AVX512_INLINE __mmask16 first_lanes(int64_t count) {
  return count >= kLanes ? __mmask16{0xFFFF} : static_cast<__mmask16>((1u << count) - 1);
}
WEIR_AVX512_INLINE __mmask32 first_lanes_of_32(int64_t count) {
  return count >= 2 * kLanes ? 0xFFFFFFFFu : (1u << count) - 1;
}

WEIR_AVX512_INLINE __m512bh as_bfloat16(__m512i x) {
  __m512bh result;
  std::memcpy(&result, &x, sizeof result);
  return result;
}

// Rounds to the nearest bfloat16, ties to even; what is subnormal becomes zero.
WEIR_AVX512_INLINE __m256i round_to_bfloat16(__m512 x) {
  const __m256bh rounded = _mm512_cvtneps_pbh(x);
  __m256i result;
  std::memcpy(&result, &rounded, sizeof result);
  return result;
}

// The first 16 elements from `low`, the others from `high`.
WEIR_AVX512_INLINE __m512i round_to_bfloat16(__m512 low, __m512 high) {
  const __m512bh rounded = _mm512_cvtne2ps_pbh(high, low);
  __m512i result;
  std::memcpy(&result, &rounded, sizeof result);
  return result;
}

WEIR_AVX512_INLINE void store(float* to, __mmask16 lanes, __m512 x) { _mm512_mask_storeu_ps(to, lanes, x); }
WEIR_AVX512_INLINE void store(Bfloat16* to, __mmask16 lanes, __m512 x) {
  _mm256_mask_storeu_epi16(to, lanes, round_to_bfloat16(x));
}

}  // namespace weir::cpu::avx512

#endif
