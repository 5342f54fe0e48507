#include "backend/cpu/processor.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "backend/cpu/control_groups.h"

namespace weir::cpu {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("model name")) {
      const size_t colon = line.find(':');
      if (colon != std::string::npos && colon + 2 < line.size()) return line.substr(colon + 2);
    }
  }
  return "CPU";
}

int32_t usable_processors() {
  cpu_set_t set;
  int32_t processors = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  for (const std::string& group : control_groups()) {
    std::ifstream file(group + "/cpu.max");
    double quota = 0;
    double period = 0;
    // "max 100000" where there is no quota, which is not a number.
    if (file >> quota >> period && period > 0) {
      processors = std::min(processors, static_cast<int32_t>(std::ceil(quota / period)));
    }
  }
  return std::max(1, processors);
}

}  // namespace weir::cpu
