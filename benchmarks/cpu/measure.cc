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

}  // namespace

void measure(Machine& machine, int rounds, const std::function<void()>& call, Result& result) {
  constexpr double kShortest = 1e-3;  // of one timing
  constexpr double kLongest = 3;      // of all rounds; three are always taken
  Work& work = result.work;
  if (work.cached_bytes > static_cast<double>(machine.last_level_bytes())) {
    work.memory_bytes += work.cached_bytes;
    work.cached_bytes = 0;
  }
  const double in_cache =
      work.cached_bytes / machine.cached_bandwidth(static_cast<int64_t>(work.cached_bytes));
  const double peak = machine.peak(work.unit);
  const double computing = peak > 0 ? work.operations / peak : 0;

  call();
  const double estimate = seconds_of(call, 1);
  const int64_t times = std::clamp<int64_t>(static_cast<int64_t>(std::ceil(kShortest / estimate)), 1, 1000);
  std::vector<double> seconds, shares;
  std::map<std::string, int> bounds;
  double spent = 0;
  for (int round = 0; round < rounds && (round < 3 || spent < kLongest); round++) {
    const double before = machine.read_memory(machine.threads());
    // The reading has emptied the caches of the activations, which an operator finds there.
    if (times == 1 && estimate < 0.02) call();
    seconds.push_back(seconds_of(call, times));
    const double after = machine.read_memory(machine.threads());
    spent += seconds.back() * static_cast<double>(times);
    // The faster of the two, because it is only ever disturbed.
    const double from_memory = work.memory_bytes / std::max(before, after);
    const double least = std::max({from_memory, in_cache, computing});
    shares.push_back(least / seconds.back());
    bounds[least == from_memory ? "memory" : least == in_cache ? "cache" : name_of(work.unit)]++;
  }
  result.rounds = static_cast<int>(seconds.size());
  result.median_seconds = median(seconds);
  result.best_seconds = *std::min_element(seconds.begin(), seconds.end());
  result.share = median(shares);
  result.bound = std::max_element(bounds.begin(), bounds.end(), [](const auto& a, const auto& b) {
                   return a.second < b.second;
                 })->first;
}

}  // namespace weir::benchmark
