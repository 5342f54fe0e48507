// Vectorised building blocks of the CPU operators.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>

// Compiles a function once per instruction set; the loader picks one. Not under sanitizers, whose runtime is
// not up when the loader picks, and not with clang 14, which cannot. By levels of the x86-64 ABI, which are
// sets of features: the name of a processor there would match that model alone. GCC has them since 12.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_UNDEFINED__) && !defined(WEIR_NO_MULTIVERSION)
#if __GNUC__ >= 12
#define WEIR_MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WEIR_MULTIVERSION __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#else
#define WEIR_MULTIVERSION
#endif

namespace weir::cpu {

// e^x to about 2 ulp; 0 below -87 and infinity above 88; branch-free so that loops over it vectorise.
// Reduction by Cody and Waite, polynomial from the Cephes library (S. Moshier).
__attribute__((always_inline)) inline float fast_exp(float x) {
  constexpr float kLog2E = 1.44269504088896341f;
  constexpr float kLn2High = 0.693359375f;
  constexpr float kLn2Low = -2.12194440e-4f;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to the nearest integer
  // Written so that a NaN is clamped as well: converting it to an integer is undefined.
  const float clamped = x > -87.0f ? (x < 88.0f ? x : 88.0f) : -87.0f;
  const float n = (clamped * kLog2E + kRound) - kRound;
  const float r = (clamped - n * kLn2High) - n * kLn2Low;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t exponent = (static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &exponent, sizeof scale);
  const float result = x < -87.0f ? 0.0f : p * scale;
  return x > 88.0f ? std::numeric_limits<float>::infinity() : (x == x ? result : x);
}

__attribute__((always_inline)) inline float dot(const float* a, const float* b, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

}  // namespace weir::cpu
