// Where the __shared__ variables of a kernel are: they are thread_local variables of the kernel's module.
#pragma once

#include <cstddef>
#include <span>
#include <unordered_map>

namespace emulator {

// Used by one thread, which runs blocks and nothing else of the modules with kernels: all their thread_local
// variables count as shared memory there.
class SharedVariables {
 public:
  // This thread's copy of the thread_local variables of the module that `kernel` is in; empty if it has none.
  std::span<std::byte> of(const void* kernel);

 private:
  std::unordered_map<const void*, std::span<std::byte>> modules_;
};

}  // namespace emulator
