// The weights of a model on a CUDA device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <mutex>

#include "backend/backend.h"
#include "backend/cuda/device.h"
#include "backend/cuda/element_type.h"
#include "backend/cuda/memory.h"

namespace weir::cuda {

// Row-major, without gaps: 32-bit floats if it is a vector, else of the type of the activations. A matrix
// serves as an embedding table as well.
class CudaWeight final : public Weight {
 public:
  CudaWeight(int64_t rows, int64_t columns, ElementType type);

  const void* data() const { return memory_.data(); }
  ElementType type() const { return type_; }

  static int64_t bytes(int64_t rows, int64_t columns, ElementType type) {
    return rows * columns * bytes_of(type);
  }

 private:
  friend class WeightLoader;

  ElementType type_;
  DeviceMemory memory_;
};

// Brings weights to the device that is current when it is made. What a checkpoint has in mapped memory goes
// through two pinned buffers, so that reading a file and copying to the device overlap, and is converted on
// the device. One weight at a time: threads wait for each other.
class WeightLoader {
 public:
  WeightLoader();
  ~WeightLoader();

  // Throws WEIR_OUT_OF_MEMORY; WEIR_UNSUPPORTED if a value is too large for fp16.
  std::unique_ptr<Weight> load(const WeightSource& source, ElementType type);

 private:
  struct Buffer {
    Buffer();
    PinnedMemory host;
    DeviceMemory device;  // what is to be converted
    Event free;           // when both may be written again
  };

  void copy_part(const TensorView& part, ElementType type, void* out);

  std::mutex mutex_;
  Stream stream_;
  Buffer buffers_[2];
  int next_ = 0;
  DeviceMemory overflow_;  // int32: not 0 once a finite value has become infinite
};

// out[i] = in[i], rounded to nearest. Sets *overflow if a finite value becomes infinite. Any alignment that
// the types have themselves.
void convert(cudaStream_t stream, ElementType from, const void* in, ElementType to, void* out, int64_t count,
             int32_t* overflow);

// The elements of a random source.
void fill_random(cudaStream_t stream, const WeightSource& source, ElementType to, void* out);

}  // namespace weir::cuda
