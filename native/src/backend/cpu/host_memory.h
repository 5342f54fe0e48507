// Memory of the host, taken only after asking what there is.
#pragma once

#include <cstdint>

#include "backend/backend.h"

namespace weir::cpu {

// Bytes.
int64_t total_memory();
// What the machine has available, or what the control groups of the process leave, whichever is less. Pages
// of files in the cache are counted as free: the system drops them when memory is wanted.
int64_t free_memory();

// Whether memory must be zero, or will be written before it is read.
enum class Contents { kZero, kUnwritten };

// In huge pages where it is large and the system allows.
class HostMemory final : public Memory {
 public:
  // Throws Error WEIR_OUT_OF_MEMORY, which names `what`.
  HostMemory(int64_t bytes, const char* what, Contents contents = Contents::kZero);
  ~HostMemory() override;

  template <typename T>
  T* as() const {
    return static_cast<T*>(data());
  }
};

}  // namespace weir::cpu
