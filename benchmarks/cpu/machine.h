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
  // Bytes a second of reading over and over as much as makes half of the L2 caches, or of the last-level
  // cache.
  double read_second_level(int threads);
  double read_last_level(int threads);
  // The rate, on all threads, of the cache that holds so much.
  double read_cache(double bytes);
  // Operations a second (a multiplication and an addition are two); 0 if the processor has no such
  // instruction.
  double compute(Unit unit, int threads);

  // Each of the above on one thread and on all, in turns.
  struct Peak {
    std::string name;
    std::string unit;
    int threads;
    double lowest, median, highest;
  };
  std::vector<Peak> measure_peaks();

 private:
  struct Free {
    void operator()(uint64_t* data) const;
  };
  double read_again(int64_t bytes, int threads);

  cpu::ThreadPool pool_;
  int64_t second_level_;  // of one core
  int64_t last_level_;
  std::unique_ptr<uint64_t[], Free> memory_;
  int64_t memory_bytes_;
  int64_t next_ = 0;  // where read_memory goes on
};

// Keeps the compiler from dropping what is only computed to be timed.
template <typename T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

}  // namespace weir::benchmark
