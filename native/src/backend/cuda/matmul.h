// Multiplications of activations by weights.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "backend/cuda/cublaslt.h"
#include "backend/cuda/device.h"
#include "backend/cuda/element_type.h"
#include "backend/cuda/weights.h"

namespace weir::cuda {

// out = x * weight^T with sums in 32-bit floats, for one stream. Which kernel multiplies by a weight is found
// out by timing at the first multiplication of that shape and size: own ones that stream the weight once (few
// rows), own ones on tensor cores, and what cuBLASLt proposes. Sizes are timed once for each bucket of
// decode_bucket; those in between take what its first size found.
//
// In deterministic mode a row's bits do not depend on the other rows, nor on how many there are. Only kernels
// of our own are used then: cuBLAS promises the same bits for the same sizes alone, and that an algorithm of
// its library adds up a row in the same order whatever the number of rows is plausible, but nowhere said.
//
// Not thread-safe.
class Matmul {
 public:
  // `workspace` has workspace_bytes().
  Matmul(std::shared_ptr<const Device> device, void* workspace);
  ~Matmul();
  Matmul(const Matmul&) = delete;
  Matmul& operator=(const Matmul&) = delete;

  static int64_t workspace_bytes(const Device& device);

  // [rows][in] of the device's type -> [rows][out] of `out_type`, which is the device's or kF32. What was not
  // multiplied before must not be first multiplied while a graph is recorded. Throws WEIR_OUT_OF_MEMORY,
  // WEIR_DEVICE_FAILED.
  void multiply(cudaStream_t stream, const CudaWeight& weight, const void* x, int64_t rows, void* out,
                ElementType out_type);
  // silu(x * gate^T) * (x * up^T): [rows][in] -> [rows][weight.rows() / 2]. `scratch` has room for
  // [rows][weight.rows()]. Throws like multiply.
  void gated(cudaStream_t stream, const CudaWeight& gate_up, const void* x, int64_t rows, void* scratch,
             void* out);

 private:
  enum class Kind { kStreaming, kSkinny, kTiled, kCublasLt };
  struct Shape {
    int64_t out;  // rows of the weight
    int64_t in;
    int64_t rows;
    ElementType out_type;
    bool gated;
    bool operator==(const Shape&) const = default;
  };
  struct ShapeHash {
    size_t operator()(const Shape& shape) const;
  };
  // Where the operands of one multiplication are. `scratch` is for gated ones.
  struct Operands {
    const void* weight;
    const void* x;
    void* scratch;
    void* out;
  };
  // A kernel, or an algorithm of cuBLASLt.
  struct Choice {
    Kind kind = Kind::kTiled;
    lt::Algo algo{};
  };
  // A choice with what it needs for a shape.
  struct Plan;
  // The objects of cuBLASLt that all multiplications share.
  struct Session;

  const Plan& plan_of(cudaStream_t stream, const Shape& shape, const Operands& operands);
  std::unique_ptr<Plan> make_plan(cudaStream_t stream, const Shape& shape, const Operands& operands);
  std::unique_ptr<Plan> fastest_plan(cudaStream_t stream, const Shape& shape, const Operands& operands);
  std::unique_ptr<Plan> plan_for(const Shape& shape, const Choice& choice) const;
  // The same choice for another number of rows; null if it is not for that.
  std::unique_ptr<Plan> adapted_plan(const Shape& shape, const Choice& choice) const;
  std::vector<Choice> proposals(const Shape& shape) const;
  void run(cudaStream_t stream, const Plan& plan, const Shape& shape, const Operands& operands);
  float milliseconds(cudaStream_t stream, const Plan& plan, const Shape& shape, const Operands& operands);

  std::shared_ptr<const Device> device_;
  void* workspace_;
  std::unique_ptr<Session> session_;
  std::unordered_map<Shape, std::unique_ptr<Plan>, ShapeHash> plans_;
  std::unordered_map<Shape, Choice, ShapeHash> timed_;  // by rows of the bucket
};

// The kernels of our own. None depends on what else is in a batch: a row's result is the same bits for any
// number of rows, and wherever among them it is. `weight` is [out_size][in_size], x [rows][in_size], out
// [rows][out_size]; everything on the device and aligned to 16 bytes.

// On CUDA cores, 1 to kStreamedRows rows: streams the weight through the multiprocessors once.
constexpr int64_t kStreamedRows = 4;
void streaming_matmul(cudaStream_t stream, ElementType type, const void* weight, int64_t out_size,
                      int64_t in_size, const void* x, int64_t rows, void* out, ElementType out_type);
// silu(x * gate^T) * (x * up^T), where the out_size rows of up follow those of gate.
void streaming_gated_matmul(cudaStream_t stream, ElementType type, const void* gate_up, int64_t out_size,
                            int64_t in_size, const void* x, int64_t rows, void* out);

// On tensor cores, 1 to kSkinnyRows rows, in_size a multiple of kSkinnyMultiple: streams the weight once.
constexpr int64_t kSkinnyRows = 64;
constexpr int64_t kSkinnyMultiple = 8;
void skinny_matmul(cudaStream_t stream, ElementType type, const void* weight, int64_t out_size,
                   int64_t in_size, const void* x, int64_t rows, void* out, ElementType out_type);
void skinny_gated_matmul(cudaStream_t stream, ElementType type, const void* gate_up, int64_t out_size,
                         int64_t in_size, const void* x, int64_t rows, void* out);

// On tensor cores, any number of rows. The same bits as skinny_matmul: both add up as mma_order.h says.
void tiled_matmul(cudaStream_t stream, ElementType type, const void* weight, int64_t out_size,
                  int64_t in_size, const void* x, int64_t rows, void* out, ElementType out_type);

}  // namespace weir::cuda
