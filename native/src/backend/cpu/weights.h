// The weights of a model as the CPU backends keep them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/avx512/matmul.h"
#include "backend/cpu/bfloat16.h"
#include "backend/cpu/host_memory.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/thread_pool.h"

namespace weir::cpu {

class CpuWeight : public Weight {
 public:
  // Row `row` as floats, for what can serve as an embedding table.
  virtual void read_row(int64_t row, float* out) const;

 protected:
  using Weight::Weight;
};

// Row-major floats.
class FloatWeight final : public CpuWeight {
 public:
  FloatWeight(const WeightSource& source, ThreadPool& threads);
  const float* data() const { return memory_.as<float>(); }
  void read_row(int64_t row, float* out) const override;

 private:
  HostMemory memory_;
};

// Row-major bfloat16.
class Bfloat16Table final : public CpuWeight {
 public:
  Bfloat16Table(const WeightSource& source, ThreadPool& threads);
  void read_row(int64_t row, float* out) const override;

 private:
  HostMemory memory_;
};

// 32-bit floats in the layouts that oneDNN likes, cut into slices of outputs that threads multiply by on
// their own.
class OneDnnWeight final : public CpuWeight {
 public:
  OneDnnWeight(const OneDnnApi& api, const WeightSource& source, ThreadPool& threads);

  struct Slice {
    int64_t first;  // output
    std::unique_ptr<OneDnnMatrix> matrix;
  };
  const std::vector<Slice>& slices() const { return slices_; }

 private:
  std::vector<Slice> slices_;
};

// bfloat16 as avx512/matmul.h packs it.
class PackedBfloat16 final : public CpuWeight {
 public:
  PackedBfloat16(const WeightSource& source, ThreadPool& threads);
  const avx512::PackedShape& shape() const { return shape_; }
  const Bfloat16* data() const { return memory_.as<Bfloat16>(); }
  void read_row(int64_t row, float* out) const override;

 private:
  avx512::PackedShape shape_;
  HostMemory memory_;
};

// 8-bit integers as avx512/matmul.h packs them, with a scale for each output.
class PackedInt8 final : public CpuWeight {
 public:
  PackedInt8(const WeightSource& source, ThreadPool& threads);
  const avx512::PackedShape& shape() const { return shape_; }
  const int8_t* data() const { return memory_.as<int8_t>(); }
  const float* scales() const { return scales_.as<float>(); }        // [64 * blocks]
  const int32_t* offsets() const { return offsets_.as<int32_t>(); }  // [64 * blocks]

 private:
  avx512::PackedShape shape_;
  HostMemory memory_;
  HostMemory scales_;
  HostMemory offsets_;
};

}  // namespace weir::cpu
