// CUDA's mathematical and bit functions for single precision. The approximate ones (__expf and so on) are as
// exact here as the others: a test must not depend on more than CUDA promises.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace emulator {

// Rounds as a conversion instruction does: a NaN becomes 0, what is too large the nearest representable
// number.
template <class Integer>
Integer saturating_cast(double value) {
  if (std::isnan(value)) return 0;
  if (value <= static_cast<double>(std::numeric_limits<Integer>::min()))
    return std::numeric_limits<Integer>::min();
  if (value >= static_cast<double>(std::numeric_limits<Integer>::max()))
    return std::numeric_limits<Integer>::max();
  return static_cast<Integer>(value);
}

inline float approximate_exp(float x) { return std::exp(x); }
inline float approximate_exp10(float x) { return static_cast<float>(std::pow(10.0, static_cast<double>(x))); }
inline float approximate_log(float x) { return std::log(x); }
inline float approximate_log2(float x) { return std::log2(x); }
inline float approximate_log10(float x) { return std::log10(x); }
inline float approximate_sin(float x) { return std::sin(x); }
inline float approximate_cos(float x) { return std::cos(x); }
inline float approximate_pow(float x, float y) { return std::pow(x, y); }
inline void sine_and_cosine(float x, float* sine, float* cosine) {
  *sine = std::sin(x);
  *cosine = std::cos(x);
}

}  // namespace emulator

// glibc's math.h declares functions of these names for its own use, so that they cannot be defined.
#define __expf ::emulator::approximate_exp
#define __exp10f ::emulator::approximate_exp10
#define __logf ::emulator::approximate_log
#define __log2f ::emulator::approximate_log2
#define __log10f ::emulator::approximate_log10
#define __sinf ::emulator::approximate_sin
#define __cosf ::emulator::approximate_cos
#define __powf ::emulator::approximate_pow
#define __sincosf ::emulator::sine_and_cosine
#define sincosf ::emulator::sine_and_cosine

// glibc has it from 2.42 on, with this declaration.
extern "C" inline float rsqrtf(float x) noexcept {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(x)));
}

inline float __frsqrt_rn(float x) { return rsqrtf(x); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }

inline int __float2int_rn(float x) { return emulator::saturating_cast<int>(std::nearbyint(double{x})); }
inline int __float2int_rz(float x) { return emulator::saturating_cast<int>(std::trunc(double{x})); }
inline int __float2int_rd(float x) { return emulator::saturating_cast<int>(std::floor(double{x})); }
inline int __float2int_ru(float x) { return emulator::saturating_cast<int>(std::ceil(double{x})); }
inline unsigned int __float2uint_rn(float x) {
  return emulator::saturating_cast<unsigned int>(std::nearbyint(double{x}));
}
inline unsigned int __float2uint_rz(float x) {
  return emulator::saturating_cast<unsigned int>(std::trunc(double{x}));
}
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned int x) { return static_cast<float>(x); }

inline unsigned int __float_as_uint(float x) { return std::bit_cast<unsigned int>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __uint_as_float(unsigned int x) { return std::bit_cast<float>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }
inline double __longlong_as_double(long long x) { return std::bit_cast<double>(x); }

inline int __popc(unsigned int x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned int>(x)); }
inline int __clzll(long long x) { return std::countl_zero(static_cast<unsigned long long>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned int __brev(unsigned int x) {
  unsigned int reversed = 0;
  for (int i = 0; i < 32; i++) reversed |= (x >> i & 1) << (31 - i);
  return reversed;
}
inline unsigned int __umulhi(unsigned int x, unsigned int y) {
  return static_cast<unsigned int>((static_cast<uint64_t>(x) * y) >> 32);
}
inline int __mulhi(int x, int y) { return static_cast<int>((static_cast<int64_t>(x) * y) >> 32); }
inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<unsigned long long>((static_cast<Wide>(x) * y) >> 64);
}
// Byte i of the result is byte (selector >> 4i & 7) of y:x, or its sign eight times if bit 3 is set.
inline unsigned int __byte_perm(unsigned int x, unsigned int y, unsigned int selector) {
  const uint64_t bytes = static_cast<uint64_t>(y) << 32 | x;
  unsigned int result = 0;
  for (int i = 0; i < 4; i++) {
    const unsigned int choice = selector >> (4 * i) & 15;
    unsigned int byte = static_cast<unsigned int>(bytes >> (8 * (choice & 7))) & 255;
    if (choice & 8) byte = byte & 128 ? 255 : 0;
    result |= byte << (8 * i);
  }
  return result;
}
// sum + the dot product of four signed bytes.
inline int __dp4a(int x, int y, int sum) {
  for (int i = 0; i < 4; i++) {
    sum += static_cast<int>(static_cast<signed char>(x >> (8 * i))) * static_cast<signed char>(y >> (8 * i));
  }
  return sum;
}

template <class T>
T __ldg(const T* pointer) {
  return *pointer;
}
template <class T>
T __ldcs(const T* pointer) {
  return *pointer;
}
template <class T>
void __stcs(T* pointer, T value) {
  *pointer = value;
}

inline int min(int x, int y) { return y < x ? y : x; }
inline unsigned int min(unsigned int x, unsigned int y) { return y < x ? y : x; }
inline long long min(long long x, long long y) { return y < x ? y : x; }
inline float min(float x, float y) { return std::fmin(x, y); }
inline int max(int x, int y) { return x < y ? y : x; }
inline unsigned int max(unsigned int x, unsigned int y) { return x < y ? y : x; }
inline long long max(long long x, long long y) { return x < y ? y : x; }
inline float max(float x, float y) { return std::fmax(x, y); }
