#include "backend/cpu/host_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "backend/cpu/control_groups.h"
#include "core/error.h"

namespace weir::cpu {
namespace {

constexpr int64_t kHugePage = int64_t{2} << 20;

// The number after the word `key` in a file, or -1.
int64_t read_value(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    if (word == key) {
      int64_t value = -1;
      file >> value;
      return value;
    }
  }
  return -1;
}

int64_t read_number(const std::string& path) {
  std::ifstream file(path);
  int64_t number = -1;
  return file >> number ? number : -1;
}

void* allocate(int64_t bytes, const char* what) {
  const int64_t available = free_memory();
  if (bytes < 0 || bytes > available) {
    throw Error(WEIR_OUT_OF_MEMORY,
                std::string(what) + " needs " + std::to_string(bytes) + " bytes of memory, and " +
                    std::to_string(available) + " are available",
                bytes, available);
  }
  const int64_t alignment = bytes >= kHugePage ? kHugePage : 64;
  void* data = nullptr;
  if (posix_memalign(&data, alignment, std::max<int64_t>(bytes, 64)) != 0) {
    throw Error(WEIR_OUT_OF_MEMORY, std::string(what) + ": no " + std::to_string(bytes) + " bytes of memory",
                bytes, available);
  }
  if (bytes >= kHugePage) madvise(data, bytes, MADV_HUGEPAGE);
  return data;
}

}  // namespace

int64_t total_memory() { return read_value("/proc/meminfo", "MemTotal:") * 1024; }

int64_t free_memory() {
  int64_t available = read_value("/proc/meminfo", "MemAvailable:") * 1024;
  for (const std::string& group : control_groups()) {
    const int64_t limit = read_number(group + "/memory.max");
    const int64_t current = read_number(group + "/memory.current");
    if (limit < 0 || current < 0) continue;
    const std::string statistics = group + "/memory.stat";
    const int64_t cache = std::max<int64_t>(read_value(statistics, "inactive_file"), 0) +
                          std::max<int64_t>(read_value(statistics, "active_file"), 0);
    available = std::min(available, limit - current + cache);
  }
  return std::max<int64_t>(available, 0);
}

HostMemory::HostMemory(int64_t bytes, const char* what, Contents contents)
    : Memory(allocate(bytes, what), static_cast<size_t>(bytes)) {
  // Zeroing also makes the system hand out the pages now, so that what is accounted is taken.
  if (contents == Contents::kZero) std::memset(data(), 0, this->bytes());
}

HostMemory::~HostMemory() { std::free(data()); }

}  // namespace weir::cpu
