// Warp functions: __shfl_*_sync, votes, __syncwarp. All lanes in the mask meet; the last one to arrive
// computes the results of all. A lane that is in the mask but has ended delivers 0xFF bytes: CUDA leaves it
// undefined.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "emulator/block.h"

namespace emulator {

enum class Shuffle { kIndex, kUp, kDown, kXor };

template <class T>
struct ShuffleOperand {
  T value;
  T result;
  // The lane of the operand, or the distance to it.
  unsigned int lane;
  int width;
};

// Lane that `lane` reads, by the formulas of the PTX ISA's instruction shfl.
constexpr unsigned int shuffle_source(Shuffle kind, unsigned int lane, unsigned int operand, int width) {
  const unsigned int segment = lane & ~static_cast<unsigned int>(width - 1);
  const unsigned int last = segment + static_cast<unsigned int>(width) - 1;
  switch (kind) {
    case Shuffle::kIndex:
      return segment | (operand & static_cast<unsigned int>(width - 1));
    case Shuffle::kUp:
      return lane >= segment + operand ? lane - operand : lane;
    case Shuffle::kDown:
      return lane + operand <= last ? lane + operand : lane;
    case Shuffle::kXor:
      return (lane ^ operand) <= last ? lane ^ operand : lane;
  }
  return lane;
}

template <Shuffle kKind, class T>
T shuffle(uint32_t mask, T value, unsigned int lane, int width, const char* operation, Location here) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
  if (width <= 0 || width > 32 || !std::has_single_bit(static_cast<unsigned int>(width))) {
    fail_kernel(cudaErrorLaunchFailure, "the width of a shuffle is not a power of two up to 32", here);
  }
  ShuffleOperand<T> operand{value, value, lane, width};
  meet_warp(
      mask, operation, &operand,
      [](uint32_t lanes, void* const* operands) {
        for (unsigned int i = 0; i < 32; i++) {
          if (!(lanes >> i & 1)) continue;
          auto& own = *static_cast<ShuffleOperand<T>*>(operands[i]);
          const unsigned int from = shuffle_source(kKind, i, own.lane, own.width);
          if (lanes >> from & 1) {
            own.result = static_cast<ShuffleOperand<T>*>(operands[from])->value;
          } else {
            std::memset(static_cast<void*>(&own.result), 0xFF, sizeof(T));
          }
        }
      },
      here);
  return operand.result;
}

struct VoteOperand {
  bool predicate;
  uint32_t result;
};

inline uint32_t ballot(uint32_t mask, bool predicate, const char* operation, Location here) {
  VoteOperand operand{predicate, 0};
  meet_warp(
      mask, operation, &operand,
      [](uint32_t lanes, void* const* operands) {
        uint32_t votes = 0;
        for (unsigned int i = 0; i < 32; i++) {
          if (lanes >> i & 1) votes |= uint32_t{static_cast<VoteOperand*>(operands[i])->predicate} << i;
        }
        for (unsigned int i = 0; i < 32; i++) {
          if (lanes >> i & 1) static_cast<VoteOperand*>(operands[i])->result = votes;
        }
      },
      here);
  return operand.result;
}

}  // namespace emulator

template <class T>
T __shfl_sync(unsigned int mask, T value, int lane, int width = 32,
              emulator::Location here = emulator::Location::here()) {
  return emulator::shuffle<emulator::Shuffle::kIndex>(mask, value, static_cast<unsigned int>(lane), width,
                                                      "__shfl_sync", here);
}

template <class T>
T __shfl_up_sync(unsigned int mask, T value, unsigned int delta, int width = 32,
                 emulator::Location here = emulator::Location::here()) {
  return emulator::shuffle<emulator::Shuffle::kUp>(mask, value, delta, width, "__shfl_up_sync", here);
}

template <class T>
T __shfl_down_sync(unsigned int mask, T value, unsigned int delta, int width = 32,
                   emulator::Location here = emulator::Location::here()) {
  return emulator::shuffle<emulator::Shuffle::kDown>(mask, value, delta, width, "__shfl_down_sync", here);
}

template <class T>
T __shfl_xor_sync(unsigned int mask, T value, int lane_mask, int width = 32,
                  emulator::Location here = emulator::Location::here()) {
  return emulator::shuffle<emulator::Shuffle::kXor>(mask, value, static_cast<unsigned int>(lane_mask), width,
                                                    "__shfl_xor_sync", here);
}

inline unsigned int __ballot_sync(unsigned int mask, int predicate,
                                  emulator::Location here = emulator::Location::here()) {
  return emulator::ballot(mask, predicate != 0, "__ballot_sync", here);
}

inline int __any_sync(unsigned int mask, int predicate,
                      emulator::Location here = emulator::Location::here()) {
  return emulator::ballot(mask, predicate != 0, "__any_sync", here) != 0;
}

inline int __all_sync(unsigned int mask, int predicate,
                      emulator::Location here = emulator::Location::here()) {
  return emulator::ballot(mask, predicate == 0, "__all_sync", here) == 0;
}

inline void __syncwarp(unsigned int mask = 0xFFFFFFFFu,
                       emulator::Location here = emulator::Location::here()) {
  emulator::meet_warp(mask, "__syncwarp", nullptr, nullptr, here);
}
