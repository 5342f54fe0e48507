// Names of kernels for messages.
#pragma once

#include <string>

namespace emulator {

// The name of the function at `address` as in the source, or module and offset where its symbol is not there.
std::string symbol_name(const void* address);

}  // namespace emulator
