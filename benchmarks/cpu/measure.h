// Times one operator against what the machine can do.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "machine.h"

namespace weir::benchmark {

// What an operator cannot do without.
struct Work {
  double memory_bytes = 0;  // read from memory, because too much else was used since
  double cached_bytes =
      0;  // read and written where the operators before and after find it: in a cache if it fits
  double operations = 0;  // multiplications and additions
  Unit unit = Unit::kNone;
};

struct Result {
  std::string model, op, precision;
  int64_t rows = 0;
  int64_t context = 0;  // 0: does not matter
  Work work;
  int rounds = 0;
  double median_seconds = 0;
  double best_seconds = 0;
  // Medians of what the machine gave in the same rounds, in bytes and operations a second; 0 if not needed.
  double memory_rate = 0;
  double arithmetic_rate = 0;
  // Median over the rounds of the least possible time (the largest of memory_bytes / rate of memory,
  // cached_bytes / rate of the cache and operations / rate of arithmetic, all of the same round) over the
  // time taken.
  double share = 0;
  std::string bound;  // which of them was the largest
};

// Fills in what is measured. `call` runs the operator once, on other weights and keys each time as long as
// those of the last calls may be in a cache. The machine's rates are measured before and after each timing,
// because those of a virtual machine change by the second: memory shared with others, and processors that
// at times seem to be halves of one core.
void measure(Machine& machine, int rounds, const std::function<void()>& call, Result& result);

}  // namespace weir::benchmark
