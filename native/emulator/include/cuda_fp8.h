// CUDA's conversions from and to 8-bit floating point.
#pragma once

#include "cuda_fp16.h"
#include "emulator/small_floats.h"

typedef unsigned char __nv_fp8_storage_t;
typedef unsigned short __nv_fp8x2_storage_t;
typedef unsigned int __nv_fp8x4_storage_t;

typedef enum __nv_saturation_t { __NV_NOSAT, __NV_SATFINITE } __nv_saturation_t;
typedef enum __nv_fp8_interpretation_t { __NV_E4M3, __NV_E5M2 } __nv_fp8_interpretation_t;

inline __nv_fp8_storage_t __nv_cvt_float_to_fp8(float x, __nv_saturation_t saturate,
                                                __nv_fp8_interpretation_t interpretation) {
  return interpretation == __NV_E4M3 ? emulator::float_to_e4m3_bits(x, saturate == __NV_SATFINITE)
                                     : emulator::float_to_e5m2_bits(x, saturate == __NV_SATFINITE);
}

inline __nv_fp8x2_storage_t __nv_cvt_float2_to_fp8x2(float2 x, __nv_saturation_t saturate,
                                                     __nv_fp8_interpretation_t interpretation) {
  return static_cast<__nv_fp8x2_storage_t>(__nv_cvt_float_to_fp8(x.x, saturate, interpretation) |
                                           __nv_cvt_float_to_fp8(x.y, saturate, interpretation) << 8);
}

inline __nv_fp8_storage_t __nv_cvt_halfraw_to_fp8(__half_raw x, __nv_saturation_t saturate,
                                                  __nv_fp8_interpretation_t interpretation) {
  return __nv_cvt_float_to_fp8(__half2float(x), saturate, interpretation);
}

inline __half_raw __nv_cvt_fp8_to_halfraw(__nv_fp8_storage_t x, __nv_fp8_interpretation_t interpretation) {
  if (interpretation == __NV_E4M3) return __half(emulator::e4m3_bits_to_float(x));
  const unsigned short bits = static_cast<unsigned short>(x << 8);
  return {(bits & 0x7FFF) > 0x7C00 ? static_cast<unsigned short>(0x7FFF) : bits};
}

inline __half2_raw __nv_cvt_fp8x2_to_halfraw2(__nv_fp8x2_storage_t x,
                                              __nv_fp8_interpretation_t interpretation) {
  return {__nv_cvt_fp8_to_halfraw(static_cast<__nv_fp8_storage_t>(x & 0xFF), interpretation).x,
          __nv_cvt_fp8_to_halfraw(static_cast<__nv_fp8_storage_t>(x >> 8), interpretation).x};
}
