#include "machine.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <new>

#if !defined(__x86_64__)
#error "the peaks of this benchmark are measured with x86-64 instructions"
#endif

#include <immintrin.h>

#include "backend/cpu/avx512/target.h"
#include "backend/cpu/simd.h"

namespace weir::benchmark {
namespace {

constexpr int64_t kHugePage = int64_t{2} << 20;
constexpr int64_t kPass = int64_t{48} << 20;  // bytes of one read_memory

double seconds_of(const std::function<void()>& work) {
  const auto started = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
}

// Four streams, because one load after another does not keep the memory busy.
WEIR_MULTIVERSION
uint64_t read_all(const uint64_t* data, int64_t count) {
  const int64_t quarter = count / 4;
  uint64_t sum = 0;
  for (int64_t i = 0; i < quarter; i++) {
    sum ^= (data[i] ^ data[i + quarter]) ^ (data[i + 2 * quarter] ^ data[i + 3 * quarter]);
  }
  return sum;
}

// Enough independent accumulators to hide the latency of an instruction.
constexpr int kAccumulators = 12;
constexpr int64_t kRepetitions = 200000;

__attribute__((target("avx2,fma"))) double multiply_fp32_avx2() {
  __m256 sums[kAccumulators];
  for (__m256& sum : sums) sum = _mm256_set1_ps(1);
  __m256 factor = _mm256_set1_ps(0.5f);
  keep(factor);
  for (int64_t i = 0; i < kRepetitions; i++) {
#pragma GCC unroll 12
    for (int j = 0; j < kAccumulators; j++) sums[j] = _mm256_fmadd_ps(sums[j], factor, factor);
  }
  keep(sums);
  return 2.0 * 8 * kAccumulators * kRepetitions;
}

WEIR_AVX512 double multiply_fp32_avx512() {
  __m512 sums[kAccumulators];
  for (__m512& sum : sums) sum = _mm512_set1_ps(1);
  __m512 factor = _mm512_set1_ps(0.5f);
  keep(factor);
  for (int64_t i = 0; i < kRepetitions; i++) {
#pragma GCC unroll 12
    for (int j = 0; j < kAccumulators; j++) sums[j] = _mm512_fmadd_ps(sums[j], factor, factor);
  }
  keep(sums);
  return 2.0 * 16 * kAccumulators * kRepetitions;
}

WEIR_AVX512 double multiply_bf16() {
  __m512 sums[kAccumulators] = {};
  __m512bh factor = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.5f));
  keep(factor);
  for (int64_t i = 0; i < kRepetitions; i++) {
#pragma GCC unroll 12
    for (int j = 0; j < kAccumulators; j++) sums[j] = _mm512_dpbf16_ps(sums[j], factor, factor);
  }
  keep(sums);
  return 2.0 * 32 * kAccumulators * kRepetitions;
}

WEIR_AVX512 double multiply_int8() {
  __m512i sums[kAccumulators] = {};
  __m512i factor = _mm512_set1_epi8(1);
  keep(factor);
  for (int64_t i = 0; i < kRepetitions; i++) {
#pragma GCC unroll 12
    for (int j = 0; j < kAccumulators; j++) sums[j] = _mm512_dpbusd_epi32(sums[j], factor, factor);
  }
  keep(sums);
  return 2.0 * 64 * kAccumulators * kRepetitions;
}

// Bytes of a cache of the first processor, which is what a virtual machine has of it; sysconf() tells what
// the whole chip has.
int64_t cache_bytes(int level, int64_t otherwise) {
  for (int index = 0;; index++) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index);
    std::ifstream level_file(folder + "/level"), size_file(folder + "/size");
    int found = 0;
    int64_t kibibytes = 0;
    if (!(level_file >> found)) return otherwise;
    if (found == level && size_file >> kibibytes) return kibibytes << 10;
  }
}

}  // namespace

const char* name_of(Unit unit) {
  switch (unit) {
    case Unit::kNone:
      return "";
    case Unit::kFp32:
      return "fp32";
    case Unit::kBf16:
      return "bf16";
    case Unit::kInt8:
      return "int8";
  }
  return "";
}

void Machine::Free::operator()(uint64_t* data) const { std::free(data); }

Machine::Machine(int threads)
    : pool_(threads, false),
      second_level_(cache_bytes(2, int64_t{1} << 20) * threads),
      last_level_(cache_bytes(3, int64_t{32} << 20)),
      memory_bytes_((4 * last_level_ + kPass) / kPass * kPass) {
  void* data = nullptr;
  if (posix_memalign(&data, kHugePage, memory_bytes_) != 0) throw std::bad_alloc();
  madvise(data, memory_bytes_, MADV_HUGEPAGE);
  memory_.reset(static_cast<uint64_t*>(data));
  std::fill_n(memory_.get(), memory_bytes_ / 8, 1);
}

Machine::~Machine() = default;

double Machine::read_memory(int threads) {
  const int64_t words = kPass / 8 / threads;
  const uint64_t* from = memory_.get() + next_ / 8;
  next_ = (next_ + kPass) % memory_bytes_;
  const double seconds = seconds_of([&] {
    pool_.run_if(threads > 1, threads,
                 [&](int64_t part, int) { keep(read_all(from + part * words, words)); });
  });
  return static_cast<double>(words * 8 * threads) / seconds;
}

double Machine::read_again(int64_t bytes, int threads) {
  const int64_t words = bytes / 8 / threads;
  const int64_t passes = std::max<int64_t>(2, kPass / bytes);
  const auto read = [&](int64_t part, int) {
    for (int64_t i = 0; i < passes; i++) keep(read_all(memory_.get() + part * words, words));
  };
  pool_.run_if(threads > 1, threads, read);
  const double seconds = seconds_of([&] { pool_.run_if(threads > 1, threads, read); });
  return static_cast<double>(words * 8 * threads * passes) / seconds;
}

double Machine::compute(Unit unit, int threads) {
  double (*work)() = nullptr;
  if (unit == Unit::kFp32) {
    if (__builtin_cpu_supports("avx512f")) {
      work = multiply_fp32_avx512;
    } else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      work = multiply_fp32_avx2;
    }
  } else if (cpu::avx512::supported()) {
    work = unit == Unit::kBf16 ? multiply_bf16 : multiply_int8;
  }
  if (work == nullptr) return 0;
  double operations = 0;
  const double seconds = seconds_of([&] {
    pool_.run_if(threads > 1, threads, [&](int64_t part, int) {
      const double done = work();
      if (part == 0) operations = done;
    });
  });
  return operations * threads / seconds;
}

void Machine::measure_peaks() {
  struct Probe {
    const char* name;
    const char* unit;
    int threads;
    std::function<double()> rate;
    std::vector<double> rates;
  };
  std::vector<Probe> probes;
  const int64_t second = second_level_ / pool_.threads() / 2;
  for (const int threads : {1, pool_.threads()}) {
    if (threads == 1 && pool_.threads() == 1 && !probes.empty()) break;
    probes.push_back({"memory, read", "GB/s", threads, [this, threads] { return read_memory(threads); }, {}});
    probes.push_back({"last-level cache, read",
                      "GB/s",
                      threads,
                      [=, this] { return read_again(last_level_ / 2, threads); },
                      {}});
    probes.push_back(
        {"L2 cache, read", "GB/s", threads, [=, this] { return read_again(second * threads, threads); }, {}});
    for (const Unit unit : {Unit::kFp32, Unit::kBf16, Unit::kInt8}) {
      static const char* const names[] = {"", "fp32 FMA", "bf16 vdpbf16ps", "int8 vpdpbusd"};
      probes.push_back({names[static_cast<int>(unit)],
                        "Gop/s",
                        threads,
                        [=, this] { return compute(unit, threads); },
                        {}});
    }
  }
  // In turns, because a virtual machine's memory and clock are faster in some seconds than in others.
  constexpr int kRounds = 25;
  for (int round = 0; round < kRounds; round++) {
    for (Probe& probe : probes) probe.rates.push_back(probe.rate());
  }
  for (Probe& probe : probes) {
    std::sort(probe.rates.begin(), probe.rates.end());
    peaks_.push_back({probe.name, probe.unit, probe.threads, probe.rates.front(), probe.rates[kRounds / 2],
                      probe.rates.back()});
  }
  const size_t all = probes.size() - 6;
  last_level_bandwidth_ = peaks_[all + 1].highest;
  second_level_bandwidth_ = peaks_[all + 2].highest;
  for (size_t unit = 1; unit < 4; unit++) arithmetic_[unit] = peaks_[all + 2 + unit].highest;
}

double Machine::peak(Unit unit) const { return arithmetic_[static_cast<int>(unit)]; }

double Machine::cached_bandwidth(int64_t bytes) const {
  return bytes <= second_level_ ? second_level_bandwidth_ : last_level_bandwidth_;
}

}  // namespace weir::benchmark
