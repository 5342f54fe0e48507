#include "measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <vector>

namespace weir::benchmark {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double seconds_of(const std::function<void()>& call, int64_t times) {
  const auto started = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < times; i++) call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count() /
         static_cast<double>(times);
}

// What all threads of the machine do a second at this moment, as far as the work asks for it.
struct Rates {
  double memory = 0;
  double cache = 0;
  double arithmetic = 0;
};

Rates rates_now(Machine& machine, const Work& work) {
  Rates rates;
  if (work.memory_bytes > 0) rates.memory = machine.read_memory(machine.threads());
  if (work.cached_bytes > 0) rates.cache = machine.read_cache(work.cached_bytes);
  if (work.operations > 0) rates.arithmetic = machine.compute(work.unit, machine.threads());
  return rates;
}

// The faster of two moments, because a rate is only ever disturbed.
Rates faster(const Rates& a, const Rates& b) {
  return {std::max(a.memory, b.memory), std::max(a.cache, b.cache), std::max(a.arithmetic, b.arithmetic)};
}

double time_of(double amount, double rate) { return amount > 0 && rate > 0 ? amount / rate : 0; }

}  // namespace

void measure(Machine& machine, int rounds, const std::function<void()>& call, Result& result) {
  constexpr double kShortest = 1e-3;  // of one timing
  constexpr double kLongest = 3;      // of all rounds; three are always taken
  Work& work = result.work;
  if (work.cached_bytes > static_cast<double>(machine.last_level_bytes())) {
    work.memory_bytes += work.cached_bytes;
    work.cached_bytes = 0;
  }
  call();
  const double estimate = seconds_of(call, 1);
  const int64_t times = std::clamp<int64_t>(static_cast<int64_t>(std::ceil(kShortest / estimate)), 1, 1000);
  std::vector<double> seconds, shares, memory, arithmetic;
  std::map<std::string, int> bounds;
  double spent = 0;
  for (int round = 0; round < rounds && (round < 3 || spent < kLongest); round++) {
    const Rates before = rates_now(machine, work);
    // The probes have emptied the caches of the activations, which an operator finds there.
    if (times == 1 && estimate < 0.02) call();
    seconds.push_back(seconds_of(call, times));
    const Rates rates = faster(before, rates_now(machine, work));
    spent += seconds.back() * static_cast<double>(times);
    const double from_memory = time_of(work.memory_bytes, rates.memory);
    const double from_cache = time_of(work.cached_bytes, rates.cache);
    const double least = std::max({from_memory, from_cache, time_of(work.operations, rates.arithmetic)});
    shares.push_back(least / seconds.back());
    bounds[least == from_memory ? "memory" : least == from_cache ? "cache" : name_of(work.unit)]++;
    memory.push_back(rates.memory);
    arithmetic.push_back(rates.arithmetic);
  }
  result.rounds = static_cast<int>(seconds.size());
  result.median_seconds = median(seconds);
  result.best_seconds = *std::min_element(seconds.begin(), seconds.end());
  result.memory_rate = median(memory);
  result.arithmetic_rate = median(arithmetic);
  result.share = median(shares);
  result.bound = std::max_element(bounds.begin(), bounds.end(), [](const auto& a, const auto& b) {
                   return a.second < b.second;
                 })->first;
}

}  // namespace weir::benchmark
