// One CUDA device, opened.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <string>

#include "backend/cuda/cublaslt.h"
#include "backend/cuda/element_type.h"
#include "weir.h"

namespace weir::cuda {

// Throws WEIR_DEVICE_UNAVAILABLE, with a reason of its own for each: no driver, no such device, a device that
// this build has no code for.
void check_device(int32_t ordinal);

class Device {
 public:
  // Throws like check_device, and WEIR_DEVICE_UNAVAILABLE if cuBLASLt is missing.
  explicit Device(const weir_device_options& options);

  // Makes this the device of the calling thread, which every use of the CUDA runtime needs.
  void use() const;

  void describe(weir_device_info& info) const;
  int64_t available_memory() const;

  int32_t ordinal() const { return ordinal_; }
  int32_t compute_capability() const { return compute_capability_; }
  int32_t multiprocessors() const { return multiprocessors_; }
  weir_precision precision() const { return precision_; }
  ElementType type() const { return element_type_of(precision_); }
  bool deterministic() const { return (flags_ & WEIR_DEVICE_DETERMINISTIC) != 0; }
  bool graphs() const { return (flags_ & WEIR_DEVICE_NO_GRAPHS) == 0; }
  const std::shared_ptr<const CublasLt>& cublaslt() const { return cublaslt_; }

 private:
  int32_t ordinal_;
  weir_precision precision_;
  int32_t flags_;
  std::string name_;
  std::string pci_bus_id_;
  int32_t compute_capability_ = 0;
  int32_t multiprocessors_ = 0;
  int64_t total_memory_ = 0;
  std::shared_ptr<const CublasLt> cublaslt_;
};

// Owners of a stream and of an event without timing. Destroying either does not wait for work on it.
class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  cudaStream_t get() const { return stream_; }
  void synchronize(const char* what) const;

 private:
  cudaStream_t stream_ = nullptr;
};

class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace weir::cuda
