// What the machine's processors are and how many of them the process may use.
#pragma once

#include <cstdint>
#include <string>

namespace weir::cpu {

std::string processor_name();
// The processors that the process may run on, or those that its control groups pay for, whichever is less.
int32_t usable_processors();

}  // namespace weir::cpu
