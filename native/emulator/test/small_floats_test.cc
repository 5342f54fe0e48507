// The conversions against definitions: every pattern of 16 or 8 bits, and every float that lies at or beside
// the middle of two neighbours.
#include "emulator/small_floats.h"

#include <cmath>
#include <functional>
#include <limits>

#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "cuda_fp8.h"
#include "support.h"

using namespace emulator;

namespace {

// The value of the bits of a format with a sign, by IEEE 754's definition; the caller takes care of
// infinities and NaNs.
double value_of(uint32_t bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const uint32_t exponent = bits >> mantissa_bits & ((1u << exponent_bits) - 1);
  const double mantissa = bits & ((1u << mantissa_bits) - 1);
  const double magnitude = exponent == 0 ? std::ldexp(mantissa, 1 - bias - mantissa_bits)
                                         : std::ldexp(mantissa + std::ldexp(1, mantissa_bits),
                                                      static_cast<int>(exponent) - bias - mantissa_bits);
  return bits >> (exponent_bits + mantissa_bits) ? -magnitude : magnitude;
}

// Checks that floats at, just below and just above the middle between `low` and `high`, the numbers with bits
// `bits` and `bits + 1`, are rounded to the nearer one, and the middle to that with an even number.
void check_middle(uint32_t bits, double low, double high, const std::function<uint32_t(float)>& convert) {
  const double middle = (low + high) / 2;
  const auto x = static_cast<float>(middle);
  REQUIRE(static_cast<double>(x) == middle);
  CHECK(convert(x) == bits + (bits & 1));
  CHECK(convert(std::nextafter(x, static_cast<float>(low))) == bits);
  CHECK(convert(std::nextafter(x, static_cast<float>(high))) == bits + 1);
  CHECK(convert(static_cast<float>(low)) == bits);
}

TEST_CASE("numbers: every half") {
  for (uint32_t bits = 0; bits < 0x10000; bits++) {
    const float value = __half2float(__ushort_as_half(static_cast<unsigned short>(bits)));
    const uint32_t magnitude = bits & 0x7FFF;
    if (magnitude > 0x7C00) {
      CHECK(std::isnan(value));
      CHECK(float_to_half_bits(value) == 0x7FFF);
    } else {
      const double expected =
          magnitude == 0x7C00 ? (bits >> 15 ? -INFINITY : INFINITY) : value_of(bits, 5, 10);
      CHECK(value == expected);
      CHECK(std::signbit(value) == (bits >> 15 != 0));
      CHECK(__half_as_ushort(__float2half_rn(value)) == bits);
    }
  }
  for (uint32_t bits = 0; bits < 0x7BFF; bits++) {
    check_middle(bits, value_of(bits, 5, 10), value_of(bits + 1, 5, 10), float_to_half_bits);
  }
  CHECK(float_to_half_bits(std::nextafter(65520.0f, 0.0f)) == 0x7BFF);
  CHECK(float_to_half_bits(65520.0f) == 0x7C00);
  CHECK(float_to_half_bits(-1e30f) == 0xFC00);
  CHECK(float_to_half_bits(std::numeric_limits<float>::denorm_min()) == 0);
}

TEST_CASE("numbers: every bfloat16") {
  for (uint32_t bits = 0; bits < 0x10000; bits++) {
    const float value = __bfloat162float(__ushort_as_bfloat16(static_cast<unsigned short>(bits)));
    const uint32_t magnitude = bits & 0x7FFF;
    if (magnitude > 0x7F80) {
      CHECK(std::isnan(value));
      CHECK(__bfloat16_as_ushort(__float2bfloat16_rn(value)) == 0x7FFF);
    } else {
      const double expected =
          magnitude == 0x7F80 ? (bits >> 15 ? -INFINITY : INFINITY) : value_of(bits, 8, 7);
      CHECK(value == expected);
      CHECK(__bfloat16_as_ushort(__float2bfloat16_rn(value)) == bits);
    }
  }
  for (uint32_t bits = 0; bits < 0x7F7F; bits++) {
    check_middle(bits, value_of(bits, 8, 7), value_of(bits + 1, 8, 7), float_to_bfloat16_bits);
  }
  CHECK(float_to_bfloat16_bits(std::numeric_limits<float>::max()) == 0x7F80);
}

TEST_CASE("numbers: every E4M3") {
  const auto saturating = [](float x) { return static_cast<uint32_t>(float_to_e4m3_bits(x, true)); };
  for (uint32_t bits = 0; bits < 0x100; bits++) {
    const auto storage = static_cast<__nv_fp8_storage_t>(bits);
    const float value = __half2float(__nv_cvt_fp8_to_halfraw(storage, __NV_E4M3));
    if ((bits & 0x7F) == 0x7F) {
      CHECK(std::isnan(value));
      continue;
    }
    CHECK(value == value_of(bits, 4, 3));
    CHECK(__nv_cvt_float_to_fp8(value, __NV_SATFINITE, __NV_E4M3) == bits);
    if (bits < 0x7E) check_middle(bits, value_of(bits, 4, 3), value_of(bits + 1, 4, 3), saturating);
  }
  CHECK(float_to_e4m3_bits(448.0f, true) == 0x7E);
  CHECK(float_to_e4m3_bits(1e9f, true) == 0x7E);
  CHECK(float_to_e4m3_bits(-INFINITY, true) == 0xFE);
  CHECK(float_to_e4m3_bits(464.0f, false) == 0x7E);
  CHECK(float_to_e4m3_bits(465.0f, false) == 0x7F);
  CHECK(float_to_e4m3_bits(NAN, true) == 0x7F);
  CHECK(__nv_cvt_float2_to_fp8x2({1.0f, -448.0f}, __NV_SATFINITE, __NV_E4M3) == 0xFE38);
  const __half2_raw pair = __nv_cvt_fp8x2_to_halfraw2(0xFE38, __NV_E4M3);
  CHECK(__half2float(__half_raw{pair.x}) == 1.0f);
  CHECK(__half2float(__half_raw{pair.y}) == -448.0f);
}

TEST_CASE("numbers: every E5M2") {
  const auto saturating = [](float x) { return static_cast<uint32_t>(float_to_e5m2_bits(x, true)); };
  for (uint32_t bits = 0; bits < 0x100; bits++) {
    const auto storage = static_cast<__nv_fp8_storage_t>(bits);
    const float value = __half2float(__nv_cvt_fp8_to_halfraw(storage, __NV_E5M2));
    const uint32_t magnitude = bits & 0x7F;
    if (magnitude > 0x7C) {
      CHECK(std::isnan(value));
    } else if (magnitude == 0x7C) {
      CHECK(std::isinf(value));
      CHECK(__nv_cvt_float_to_fp8(value, __NV_SATFINITE, __NV_E5M2) == (bits & 0x80) + 0x7B);
      CHECK(__nv_cvt_float_to_fp8(value, __NV_NOSAT, __NV_E5M2) == bits);
    } else {
      CHECK(value == value_of(bits, 5, 2));
      CHECK(__nv_cvt_float_to_fp8(value, __NV_SATFINITE, __NV_E5M2) == bits);
      if (bits < 0x7B) check_middle(bits, value_of(bits, 5, 2), value_of(bits + 1, 5, 2), saturating);
    }
  }
}

TEST_CASE("numbers: sums and products of halves are rounded once") {
  const __half third = __float2half_rn(1.0f / 3);
  for (uint32_t bits = 0; bits < 0x7C00; bits++) {
    const __half x = __ushort_as_half(static_cast<unsigned short>(bits));
    const double exact_sum = static_cast<double>(__half2float(x)) + static_cast<double>(__half2float(third));
    const float sum = __half2float(__hadd(x, third));
    // No other half is nearer.
    const uint16_t below = static_cast<uint16_t>(float_to_half_bits(sum) - 1);
    const uint16_t above = static_cast<uint16_t>(float_to_half_bits(sum) + 1);
    const double error = std::fabs(sum - exact_sum);
    CHECK(error <= std::fabs(half_bits_to_float(below) - exact_sum));
    if (above < 0x7C00) CHECK(error <= std::fabs(half_bits_to_float(above) - exact_sum));
  }
}

}  // namespace
