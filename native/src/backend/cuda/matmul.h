// Multiplications of activations by weights.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "backend/cuda/cublaslt.h"
#include "backend/cuda/device.h"
#include "backend/cuda/element_type.h"
#include "backend/cuda/weights.h"

namespace weir::cuda {

// out = x * weight^T with sums in 32-bit floats, for one stream. Which kernel multiplies by a weight is found
// out by timing at the first multiplication of that shape and size: own ones that stream the weight once (few
// rows), own ones on tensor cores, and what cuBLASLt proposes. In deterministic mode one kernel takes all
// sizes, so that a row's result does not depend on the other rows. Not thread-safe.
class Matmul {
 public:
  // `workspace` has workspace_bytes().
  Matmul(std::shared_ptr<const Device> device, void* workspace);
  ~Matmul();
  Matmul(const Matmul&) = delete;
  Matmul& operator=(const Matmul&) = delete;

  static int64_t workspace_bytes(const Device& device);

  // [rows][in] of the device's type -> [rows][out] of `out_type`, which is the device's or kF32. What was not
  // multiplied before must not be first multiplied while a graph is recorded.
  void multiply(cudaStream_t stream, const CudaWeight& weight, const void* x, int64_t rows, void* out,
                ElementType out_type);
  // silu(x * gate^T) * (x * up^T): [rows][in] -> [rows][weight.rows() / 2]. `scratch` has room for
  // [rows][weight.rows()].
  void gated(cudaStream_t stream, const CudaWeight& gate_up, const void* x, int64_t rows, void* scratch,
             void* out);

 private:
  enum class Kind { kStreaming, kTiled, kCublasLt };
  struct Shape {
    int64_t out;
    int64_t in;
    int64_t rows;
    ElementType out_type;
    bool operator==(const Shape&) const = default;
  };
  struct ShapeHash {
    size_t operator()(const Shape& shape) const;
  };
  // How one shape is multiplied.
  struct Plan;

  const Plan& plan_of(cudaStream_t stream, const Shape& shape, const void* weight, const void* x, void* out);
  std::unique_ptr<Plan> make_plan(cudaStream_t stream, const Shape& shape, const void* weight, const void* x,
                                  void* out);
  std::unique_ptr<Plan> cublaslt_plan(const Shape& shape, const lt::HeuristicResult& result);
  void run(cudaStream_t stream, const Plan& plan, const Shape& shape, const void* weight, const void* x,
           void* out);
  float milliseconds(cudaStream_t stream, const Plan& plan, const Shape& shape, const void* weight,
                     const void* x, void* out);

  std::shared_ptr<const Device> device_;
  void* workspace_;
  lt::Handle handle_ = nullptr;
  lt::MatmulDesc description_ = nullptr;
  lt::MatmulPreference preference_ = nullptr;
  std::unordered_map<Shape, std::unique_ptr<Plan>, ShapeHash> plans_;
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
