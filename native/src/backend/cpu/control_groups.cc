#include "backend/cpu/control_groups.h"

#include <fstream>

namespace weir::cpu {

std::vector<std::string> control_groups() {
  std::vector<std::string> groups{"/sys/fs/cgroup"};
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with("0::/")) continue;
    for (std::string path = line.substr(3); path.size() > 1; path.resize(path.rfind('/'))) {
      groups.push_back("/sys/fs/cgroup" + path);
    }
  }
  return groups;
}

}  // namespace weir::cpu
