// Random numbers for the order of things: fast, and the same for the same seed.
#pragma once

#include <bit>
#include <cstdint>

namespace emulator {

// The finalizer of splitmix64 (Steele, Lea and Flood, OOPSLA 2014): makes well mixed numbers of a counter.
constexpr uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

class Random {
 public:
  explicit Random(uint64_t seed = 0) : state_(mix(seed) | 1) {}

  // Marsaglia's xorshift64* (Vigna, ACM TOMS 42, 2016), its upper half.
  uint32_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<uint32_t>((state_ * 0x2545F4914F6CDD1Du) >> 32);
  }

  bool coin() { return next() >> 31 != 0; }

  uint32_t below(uint32_t bound) { return static_cast<uint32_t>((uint64_t{next()} * bound) >> 32); }

  // One of the bits set in `bits`, not 0; each can come, not all equally often.
  uint32_t bit_of(uint32_t bits) {
    const int turn = static_cast<int>(next() >> 27);
    return static_cast<uint32_t>(std::countr_zero(std::rotr(bits, turn)) + turn) & 31;
  }

 private:
  uint64_t state_;
};

}  // namespace emulator
