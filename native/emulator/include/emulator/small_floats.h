// Conversions between float and the formats of 16 and 8 bits: IEEE 754 binary16, bfloat16, and the OCP 8-bit
// formats E4M3 and E5M2. To the nearest, ties to even.
#pragma once

#include <bit>
#include <cstdint>

namespace emulator {

// The bits of `magnitude` >= 0, finite, in a format of kExponent exponent bits and kMantissa mantissa bits
// whose exponent could grow without end: a result from (2^kExponent - 1) << kMantissa on is too large for an
// IEEE format.
template <int kExponent, int kMantissa>
constexpr uint32_t round_magnitude(float magnitude) {
  constexpr int kBias = (1 << (kExponent - 1)) - 1;
  constexpr int kShift = 23 - kMantissa;
  const uint32_t bits = std::bit_cast<uint32_t>(magnitude);
  const int exponent = static_cast<int>(bits >> 23);
  // How many bits of the 24-bit significand go, and the rest with the implicit one.
  const int dropped =
      exponent > 127 - kBias ? kShift : kShift + (127 - kBias + 1) - (exponent == 0 ? 1 : exponent);
  if (dropped > 24 + 1) return 0;
  const uint32_t significand = (bits & 0x7FFFFF) | (exponent == 0 ? 0 : 0x800000);
  const uint32_t kept = significand >> dropped;
  const uint32_t rest = significand & ((1u << dropped) - 1);
  const uint32_t half = 1u << (dropped - 1);
  const uint32_t rounded = kept + (rest > half || (rest == half && (kept & 1)) ? 1 : 0);
  if (exponent <= 127 - kBias) return rounded;
  // The implicit one raises the exponent by one.
  return rounded + (static_cast<uint32_t>(exponent - (127 - kBias) - 1) << kMantissa);
}

// The value of an IEEE-like format's finite bits without the sign.
template <int kExponent, int kMantissa>
constexpr float widen_magnitude(uint32_t bits) {
  constexpr int kBias = (1 << (kExponent - 1)) - 1;
  const uint32_t exponent = bits >> kMantissa;
  const uint32_t mantissa = bits & ((1u << kMantissa) - 1);
  if (exponent == 0) {
    // 2^(1 - bias - mantissa bits), the least positive number.
    constexpr float kLeast = std::bit_cast<float>(static_cast<uint32_t>(127 + 1 - kBias - kMantissa) << 23);
    return static_cast<float>(mantissa) * kLeast;
  }
  return std::bit_cast<float>((exponent + 127 - kBias) << 23 | mantissa << (23 - kMantissa));
}

constexpr uint16_t float_to_half_bits(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  const uint32_t sign = bits >> 16 & 0x8000;
  if (magnitude > 0x7F800000) return 0x7FFF;
  if (magnitude == 0x7F800000) return static_cast<uint16_t>(sign | 0x7C00);
  const uint32_t rounded = round_magnitude<5, 10>(std::bit_cast<float>(magnitude));
  return static_cast<uint16_t>(sign | (rounded < 0x7C00 ? rounded : 0x7C00));
}

constexpr float half_bits_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t magnitude = bits & 0x7FFF;
  if (magnitude > 0x7C00) return std::bit_cast<float>(0x7FFFFFFFu);
  const float value =
      magnitude == 0x7C00 ? std::bit_cast<float>(0x7F800000u) : widen_magnitude<5, 10>(magnitude);
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | sign);
}

constexpr uint16_t float_to_bfloat16_bits(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return 0x7FFF;
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

constexpr float bfloat16_bits_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// E4M3 has no infinity, and one NaN of each sign, 0x7F; the largest number is 448, 0x7E.
constexpr uint8_t float_to_e4m3_bits(float x, bool saturate) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  const uint8_t sign = static_cast<uint8_t>(bits >> 24 & 0x80);
  if (magnitude > 0x7F800000) return 0x7F;
  const uint32_t rounded =
      magnitude == 0x7F800000 ? 0x7F : round_magnitude<4, 3>(std::bit_cast<float>(magnitude));
  return static_cast<uint8_t>(sign | (rounded <= 0x7E ? rounded : saturate ? 0x7E : 0x7F));
}

constexpr float e4m3_bits_to_float(uint8_t bits) {
  if ((bits & 0x7F) == 0x7F) return std::bit_cast<float>(0x7FFFFFFFu);
  const float value = widen_magnitude<4, 3>(bits & 0x7Fu);
  return bits & 0x80 ? -value : value;
}

// The upper byte of binary16, with infinities; the largest number is 57344, 0x7B.
constexpr uint8_t float_to_e5m2_bits(float x, bool saturate) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  const uint8_t sign = static_cast<uint8_t>(bits >> 24 & 0x80);
  if (magnitude > 0x7F800000) return 0x7F;
  const uint32_t rounded =
      magnitude == 0x7F800000 ? 0x7C : round_magnitude<5, 2>(std::bit_cast<float>(magnitude));
  return static_cast<uint8_t>(sign | (rounded <= 0x7B ? rounded : saturate ? 0x7B : 0x7C));
}

}  // namespace emulator
