// Memory of the device, and memory of the host that the device reaches.
#pragma once

#include <cstdint>

#include "backend/backend.h"

namespace weir::cuda {

// On the current device. Zeroed, and the zeros are there when the constructor returns.
class DeviceMemory final : public Memory {
 public:
  // Throws Error WEIR_OUT_OF_MEMORY with the bytes needed and available; `what` names the use and, where
  // there is one, the setting that makes it smaller.
  DeviceMemory(int64_t bytes, const char* what);
  ~DeviceMemory() override;

  template <typename T>
  T* as() const {
    return static_cast<T*>(data());
  }

 private:
  int device_ = 0;
};

// Page-locked memory of the host: copies from and to it run beside the host, and kernels can read and write
// it. Zeroed.
class PinnedMemory final : public Memory {
 public:
  // Throws like DeviceMemory.
  PinnedMemory(int64_t bytes, const char* what);
  ~PinnedMemory() override;

  template <typename T>
  T* as() const {
    return static_cast<T*>(data());
  }
};

}  // namespace weir::cuda
