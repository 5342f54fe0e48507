#include "machine.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <new>
#include <utility>

#if !defined(__x86_64__)
#error "the peaks of this benchmark are measured with x86-64 instructions"
#endif

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

constexpr int64_t kRepetitions = 150000;
constexpr int kSums = 15;

// kRepetitions times one instruction on each of kSums registers `r`0 to `r`14, so that none waits for
// another, and on zeros. In assembly, because GCC 12 copies registers around some of them.
#define WEIR_ADD_UP(instruction, r)                                                                          \
  int64_t left = kRepetitions;                                                                               \
  asm volatile(                                                                                              \
      ".irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n vpxor %%xmm\\i, %%xmm\\i, %%xmm\\i\n " \
      ".endr\n"                                                                                              \
      "1:\n"                                                                                                 \
      ".irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14\n " instruction " %%" r "15, %%" r           \
      "15, %%" r                                                                                             \
      "\\i\n .endr\n"                                                                                        \
      "dec %0\n jnz 1b\n"                                                                                    \
      : "+r"(left)                                                                                           \
      :                                                                                                      \
      : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",       \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")

void add_fp32_avx2() { WEIR_ADD_UP("vfmadd231ps", "ymm"); }
void add_fp32_avx512() { WEIR_ADD_UP("vfmadd231ps", "zmm"); }
void add_bf16() { WEIR_ADD_UP("vdpbf16ps", "zmm"); }
void add_int8() { WEIR_ADD_UP("vpdpbusd", "zmm"); }

#undef WEIR_ADD_UP

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
      second_level_(cache_bytes(2, int64_t{1} << 20)),
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
  void (*work)() = nullptr;
  double products = 0;  // of one instruction
  if (unit == Unit::kFp32 && __builtin_cpu_supports("avx512f")) {
    work = add_fp32_avx512;
    products = 16;
  } else if (unit == Unit::kFp32 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    work = add_fp32_avx2;
    products = 8;
  } else if (unit == Unit::kBf16 && cpu::avx512::supported()) {
    work = add_bf16;
    products = 32;
  } else if (unit == Unit::kInt8 && cpu::avx512::supported()) {
    work = add_int8;
    products = 64;
  }
  if (work == nullptr) return 0;
  const double seconds =
      seconds_of([&] { pool_.run_if(threads > 1, threads, [&](int64_t, int) { work(); }); });
  return 2 * products * kSums * kRepetitions * threads / seconds;
}

double Machine::read_second_level(int threads) { return read_again(second_level_ / 2 * threads, threads); }

double Machine::read_last_level(int threads) { return read_again(last_level_ / 2, threads); }

double Machine::read_cache(double bytes) {
  const bool second = bytes <= static_cast<double>(second_level_ * threads());
  return second ? read_second_level(threads()) : read_last_level(threads());
}

std::vector<Machine::Peak> Machine::measure_peaks() {
  struct Probe {
    const char* name;
    const char* unit;
    std::function<double(int)> rate;
  };
  const Probe probes[] = {
      {"memory, read", "GB/s", [this](int t) { return read_memory(t); }},
      {"last-level cache, read", "GB/s", [this](int t) { return read_last_level(t); }},
      {"L2 cache, read", "GB/s", [this](int t) { return read_second_level(t); }},
      {"fp32 FMA", "Gop/s", [this](int t) { return compute(Unit::kFp32, t); }},
      {"bf16 vdpbf16ps", "Gop/s", [this](int t) { return compute(Unit::kBf16, t); }},
      {"int8 vpdpbusd", "Gop/s", [this](int t) { return compute(Unit::kInt8, t); }},
  };
  std::vector<int> counts{1};
  if (threads() > 1) counts.push_back(threads());
  constexpr int kRounds = 25;
  std::map<std::pair<int, const Probe*>, std::vector<double>> rates;
  for (int round = 0; round < kRounds; round++) {
    for (const int count : counts) {
      for (const Probe& probe : probes) rates[{count, &probe}].push_back(probe.rate(count));
    }
  }
  std::vector<Peak> peaks;
  for (auto& [key, measured] : rates) {
    std::sort(measured.begin(), measured.end());
    peaks.push_back({key.second->name, key.second->unit, key.first, measured.front(), measured[kRounds / 2],
                     measured.back()});
  }
  return peaks;
}

}  // namespace weir::benchmark
