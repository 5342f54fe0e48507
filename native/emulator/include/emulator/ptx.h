// The functions of backend/cuda/ptx.h for emulated kernels; that file says what they do. An asynchronous copy
// lands either when it is issued or as late as the instruction set allows, drawn at random, so that both a
// missing wait and a buffer that is still in use are seen.
#pragma once

#include <cstdint>
#include <cstring>

#include "cuda_runtime.h"
#include "emulator/small_floats.h"

#if WEIR_EMULATED_ARCHITECTURE >= 900
#define WEIR_SM90_FEATURES 1
#else
#define WEIR_SM90_FEATURES 0
#endif

namespace emulator {

// Throws a kernel out that reads or writes `bytes` at `address` where shared memory is not, or not aligned to
// `alignment`.
void check_shared(const void* address, uint32_t bytes, uint32_t alignment, const char* operation,
                  Location here);

struct MatrixLoad {
  const void* row;
  uint32_t registers[4];
};

template <bool kTransposed>
void load_matrices(uint32_t (&registers)[4], const void* shared, Location here) {
  check_shared(shared, 16, 16, "ldmatrix", here);
  MatrixLoad operand{shared, {}};
  meet_warp(
      0xFFFFFFFFu, kTransposed ? "ldmatrix_x4_trans" : "ldmatrix_x4", &operand,
      [](uint32_t lanes, void* const* operands) {
        for (int matrix = 0; matrix < 4; matrix++) {
          uint16_t element[8][8];
          for (int row = 0; row < 8; row++) {
            const int lane = 8 * matrix + row;
            if (lanes >> lane & 1) {
              std::memcpy(element[row], static_cast<MatrixLoad*>(operands[lane])->row, 16);
            } else {
              std::memset(element[row], 0xFF, 16);
            }
          }
          for (int lane = 0; lane < 32; lane++) {
            if (!(lanes >> lane & 1)) continue;
            const int i = lane / 4, j = lane % 4 * 2;
            const uint32_t low = kTransposed ? element[j][i] : element[i][j];
            const uint32_t high = kTransposed ? element[j + 1][i] : element[i][j + 1];
            static_cast<MatrixLoad*>(operands[lane])->registers[matrix] = high << 16 | low;
          }
        }
      },
      here);
  std::memcpy(registers, operand.registers, sizeof registers);
}

struct MatrixMultiply {
  uint32_t a[4];
  uint32_t b[2];
  float d[4];
};

template <float (*kToFloat)(uint16_t)>
void multiply_matrices(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const char* operation,
                       Location here) {
  MatrixMultiply operand;
  std::memcpy(operand.a, a, sizeof a);
  std::memcpy(operand.b, b, sizeof b);
  std::memcpy(operand.d, d, sizeof d);
  meet_warp(
      0xFFFFFFFFu, operation, &operand,
      [](uint32_t lanes, void* const* operands) {
        float left[16][16] = {}, right[16][8] = {};
        const auto low = [](uint32_t x) { return kToFloat(static_cast<uint16_t>(x & 0xFFFF)); };
        const auto high = [](uint32_t x) { return kToFloat(static_cast<uint16_t>(x >> 16)); };
        for (int lane = 0; lane < 32; lane++) {
          if (!(lanes >> lane & 1)) continue;
          const auto& own = *static_cast<MatrixMultiply*>(operands[lane]);
          const int g = lane / 4, t = lane % 4 * 2;
          for (int i = 0; i < 4; i++) {
            left[g + i % 2 * 8][t + i / 2 * 8] = low(own.a[i]);
            left[g + i % 2 * 8][t + i / 2 * 8 + 1] = high(own.a[i]);
          }
          for (int i = 0; i < 2; i++) {
            right[t + i * 8][g] = low(own.b[i]);
            right[t + i * 8 + 1][g] = high(own.b[i]);
          }
        }
        float product[16][8] = {};
        for (int i = 0; i < 16; i++) {
          for (int k = 0; k < 16; k++) {
            for (int j = 0; j < 8; j++) product[i][j] += left[i][k] * right[k][j];
          }
        }
        for (int lane = 0; lane < 32; lane++) {
          if (!(lanes >> lane & 1)) continue;
          auto& own = *static_cast<MatrixMultiply*>(operands[lane]);
          const int g = lane / 4, t = lane % 4 * 2;
          for (int i = 0; i < 4; i++) own.d[i] += product[g + i / 2 * 8][t + i % 2];
        }
      },
      here);
  std::memcpy(d, operand.d, sizeof d);
}

}  // namespace emulator

namespace weir::cuda {

enum class L2Prefetch { kNone, k128Bytes };

template <L2Prefetch = L2Prefetch::kNone>
void cp_async_16(void* shared, const void* global, emulator::Location here = emulator::Location::here()) {
  emulator::copy_async(shared, global, 16, 0, here);
}

template <L2Prefetch = L2Prefetch::kNone>
void cp_async_16_zero_fill(void* shared, const void* global, uint32_t source_bytes,
                           emulator::Location here = emulator::Location::here()) {
  if (source_bytes > 16) {
    emulator::fail_kernel(cudaErrorLaunchFailure, "cp.async: more than 16 bytes of source", here);
  }
  emulator::copy_async(shared, global, source_bytes, 16 - source_bytes, here);
}

inline void cp_async_commit() { emulator::commit_copies(); }

template <int kPending>
void cp_async_wait() {
  static_assert(kPending >= 0);
  emulator::wait_copies(kPending);
}

inline void ldmatrix_x4(uint32_t (&registers)[4], const void* shared,
                        emulator::Location here = emulator::Location::here()) {
  emulator::load_matrices<false>(registers, shared, here);
}

inline void ldmatrix_x4_trans(uint32_t (&registers)[4], const void* shared,
                              emulator::Location here = emulator::Location::here()) {
  emulator::load_matrices<true>(registers, shared, here);
}

inline void mma_m16n8k16_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                             emulator::Location here = emulator::Location::here()) {
  emulator::multiply_matrices<emulator::half_bits_to_float>(d, a, b, "mma_m16n8k16_f16", here);
}

inline void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                              emulator::Location here = emulator::Location::here()) {
  emulator::multiply_matrices<emulator::bfloat16_bits_to_float>(d, a, b, "mma_m16n8k16_bf16", here);
}

inline uint4 load_streaming_16(const void* global) { return *static_cast<const uint4*>(global); }

inline void prefetch_l2(const void*) {}

inline void griddepcontrol_wait() {
#if WEIR_SM90_FEATURES
  emulator::wait_for_preceding_kernel();
#endif
}

inline void griddepcontrol_launch_dependents() {}

#if WEIR_SM90_FEATURES

inline void mbarrier_init(uint64_t* barrier, uint32_t arrivals,
                          emulator::Location here = emulator::Location::here()) {
  emulator::barrier_initialize(barrier, arrivals, here);
}

inline void fence_mbarrier_init() {}
inline void fence_proxy_async() {}

inline void mbarrier_arrive(uint64_t* barrier, emulator::Location here = emulator::Location::here()) {
  emulator::barrier_arrive(barrier, 0, here);
}

inline void mbarrier_arrive_expect_tx(uint64_t* barrier, uint32_t bytes,
                                      emulator::Location here = emulator::Location::here()) {
  emulator::barrier_arrive(barrier, bytes, here);
}

inline bool mbarrier_try_wait_parity(uint64_t* barrier, uint32_t parity,
                                     emulator::Location here = emulator::Location::here()) {
  return emulator::barrier_try_wait(barrier, parity, here);
}

inline void cp_async_bulk(void* shared, const void* global, uint32_t bytes, uint64_t* barrier,
                          emulator::Location here = emulator::Location::here()) {
  emulator::copy_bulk(shared, global, bytes, barrier, here);
}

#endif  // WEIR_SM90_FEATURES

}  // namespace weir::cuda
