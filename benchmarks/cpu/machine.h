// What the machine can do at best, measured by loops that do nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/cpu/thread_pool.h"

namespace weir::benchmark {

// Who does the arithmetic of an operator.
enum class Unit { kNone, kFp32, kBf16, kInt8 };
const char* name_of(Unit unit);

class Machine {
 public:
  explicit Machine(int threads);
  ~Machine();

  int threads() const { return pool_.threads(); }
  int64_t last_level_bytes() const { return last_level_; }

  // Bytes a second of one pass over memory that is in no cache; takes about a millisecond.
  double read_memory(int threads);
  // Bytes a second of reading `bytes` over and over, shared by the threads.
  double read_again(int64_t bytes, int threads);
  // Operations a second (a multiplication and an addition are two); 0 if the processor has no such
  // instruction.
  double compute(Unit unit, int threads);

  // Measures what does not change from second to second: the caches and the arithmetic.
  void measure_peaks();
  double peak(Unit unit) const;                  // of all threads
  double cached_bandwidth(int64_t bytes) const;  // of all threads, for so much in the cache that holds it
  int64_t second_level_bytes() const { return second_level_; }  // of all threads

  struct Peak {
    std::string name;
    std::string unit;
    int threads;
    double lowest, median, highest;
  };
  const std::vector<Peak>& peaks() const { return peaks_; }

 private:
  struct Free {
    void operator()(uint64_t* data) const;
  };
  cpu::ThreadPool pool_;
  int64_t second_level_;
  int64_t last_level_;
  std::unique_ptr<uint64_t[], Free> memory_;
  int64_t memory_bytes_;
  int64_t next_ = 0;  // where read_memory goes on
  double arithmetic_[4] = {};
  double second_level_bandwidth_ = 0;
  double last_level_bandwidth_ = 0;
  std::vector<Peak> peaks_;
};

// Keeps the compiler from dropping what is only computed to be timed.
template <typename T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

}  // namespace weir::benchmark
