// The control groups that bound what the process may use.
#pragma once

#include <string>
#include <vector>

namespace weir::cpu {

// The control group of the process and its ancestors, as folders of the version 2 hierarchy; inside a
// container that is usually the root alone.
std::vector<std::string> control_groups();

}  // namespace weir::cpu
