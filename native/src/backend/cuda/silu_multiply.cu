#include "backend/cuda/launch.h"
#include "backend/cuda/operators.h"
#include "backend/cuda/ptx.h"
#include "backend/cuda/silu.h"
#include "backend/cuda/vector.h"

namespace weir::cuda {
namespace {

// Small, so that one row is spread over several multiprocessors.
constexpr int32_t kThreads = 128;

// A thread computes kWidth columns of a row.
template <typename T, int32_t kWidth>
__global__ void __launch_bounds__(kThreads) silu_multiply_kernel(const T* gate_up, T* out, int32_t columns) {
  griddepcontrol_wait();
  griddepcontrol_launch_dependents();
  const int32_t column = static_cast<int32_t>(blockIdx.y * kThreads + threadIdx.x) * kWidth;
  if (column >= columns) return;
  const int64_t row = blockIdx.x;
  const T* const gates = gate_up + row * 2 * columns + column;
  const Vector<T, kWidth> gate = load_vector<kWidth>(gates);
  const Vector<T, kWidth> up = load_vector<kWidth>(gates + columns);
  Vector<T, kWidth> product;
#pragma unroll
  for (int32_t i = 0; i < kWidth; i++) {
    product.element[i] = from_float<T>(silu(to_float(gate.element[i])) * to_float(up.element[i]));
  }
  store_vector<kWidth>(out + row * columns + column, product);
}

}  // namespace

void silu_multiply(cudaStream_t stream, ElementType type, const void* gate_up, void* out, int64_t rows,
                   int64_t columns) {
  if (rows == 0) return;
  with_activation_type(type, [&]<typename T>(T*) {
    const bool vectors = columns % kVectorWidth == 0;
    const int64_t items = vectors ? columns / kVectorWidth : columns;
    const LaunchShape shape{
        .grid = dim3(static_cast<uint32_t>(rows), static_cast<uint32_t>((items + kThreads - 1) / kThreads)),
        .block = dim3(kThreads),
        .overlaps_previous = true};
    launch(vectors ? silu_multiply_kernel<T, kVectorWidth> : silu_multiply_kernel<T, 1>, shape, stream,
           static_cast<const T*>(gate_up), static_cast<T*>(out), static_cast<int32_t>(columns));
  });
}

}  // namespace weir::cuda
