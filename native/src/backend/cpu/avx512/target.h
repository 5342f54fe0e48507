// What a processor must have for the operators of this folder (AMD Zen 4, Intel Sapphire Rapids and their
// successors), and the attribute that every function here needs, so that nothing else in the library is
// compiled for such a processor alone.
#pragma once

#if defined(__x86_64__)
#define WEIR_HAS_AVX512 1
#define WEIR_AVX512 \
  __attribute__((   \
      target("avx512f,avx512bw,avx512vl,avx512dq,avx512cd,avx512bf16,avx512vnni,avx2,fma,f16c,bmi2")))
#endif

namespace weir::cpu::avx512 {

// Whether this processor can run the operators of this folder.
inline bool supported() {
#if defined(WEIR_HAS_AVX512)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512bf16") &&
         __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

}  // namespace weir::cpu::avx512
