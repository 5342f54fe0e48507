// CUDA's vector types, with the alignment that CUDA gives them: sanitizers then report what would be a
// misaligned vector access on a GPU.
#pragma once

#define __align__(bytes) __attribute__((aligned(bytes)))

#define WEIR_EMULATOR_VECTORS(element, name, align2, align4)                           \
  struct name##1 {                                                                     \
    element x;                                                                         \
  };                                                                                   \
  struct __align__(align2) name##2 {                                                   \
    element x, y;                                                                      \
  };                                                                                   \
  struct name##3 {                                                                     \
    element x, y, z;                                                                   \
  };                                                                                   \
  struct __align__(align4) name##4 {                                                   \
    element x, y, z, w;                                                                \
  };                                                                                   \
  inline name##1 make_##name##1(element x) { return {x}; }                             \
  inline name##2 make_##name##2(element x, element y) { return {x, y}; }               \
  inline name##3 make_##name##3(element x, element y, element z) { return {x, y, z}; } \
  inline name##4 make_##name##4(element x, element y, element z, element w) { return {x, y, z, w}; }

WEIR_EMULATOR_VECTORS(signed char, char, 2, 4)
WEIR_EMULATOR_VECTORS(unsigned char, uchar, 2, 4)
WEIR_EMULATOR_VECTORS(short, short, 4, 8)
WEIR_EMULATOR_VECTORS(unsigned short, ushort, 4, 8)
WEIR_EMULATOR_VECTORS(int, int, 8, 16)
WEIR_EMULATOR_VECTORS(unsigned int, uint, 8, 16)
WEIR_EMULATOR_VECTORS(long long, longlong, 16, 16)
WEIR_EMULATOR_VECTORS(unsigned long long, ulonglong, 16, 16)
WEIR_EMULATOR_VECTORS(float, float, 8, 16)
WEIR_EMULATOR_VECTORS(double, double, 16, 16)

#undef WEIR_EMULATOR_VECTORS

struct dim3 {
  unsigned int x, y, z;
  constexpr dim3(unsigned int x_ = 1, unsigned int y_ = 1, unsigned int z_ = 1) : x(x_), y(y_), z(z_) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
  constexpr operator uint3() const { return {x, y, z}; }
};
