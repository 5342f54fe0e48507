#include "backend/cuda/launch.h"
#include "backend/cuda/operators.h"
#include "backend/cuda/ptx.h"
#include "backend/cuda/vector.h"

namespace weir::cuda {
namespace {

constexpr int32_t kThreads = 128;

// A thread copies kWidth columns of a row.
template <typename T, int32_t kWidth>
__global__ void __launch_bounds__(kThreads)
    embed_kernel(const int32_t* token_ids, const T* table, float* residual, int32_t columns) {
  griddepcontrol_wait();
  griddepcontrol_launch_dependents();
  const int32_t column = static_cast<int32_t>(blockIdx.y * kThreads + threadIdx.x) * kWidth;
  if (column >= columns) return;
  const int64_t row = blockIdx.x;
  const Vector<T, kWidth> from = load_vector<kWidth>(table + int64_t{token_ids[row]} * columns + column);
  Vector<float, kWidth> to;
#pragma unroll
  for (int32_t i = 0; i < kWidth; i++) to.element[i] = to_float(from.element[i]);
  store_vector<kWidth>(residual + row * columns + column, to);
}

}  // namespace

void embed(cudaStream_t stream, ElementType type, const DeviceBatch& batch, const void* table,
           float* residual, int64_t rows, int64_t columns) {
  if (rows == 0) return;
  with_activation_type(type, [&]<typename T>(T*) {
    const bool vectors = columns % kVectorWidth == 0;
    const int64_t items = vectors ? columns / kVectorWidth : columns;
    const LaunchShape shape{
        .grid = dim3(static_cast<uint32_t>(rows), static_cast<uint32_t>((items + kThreads - 1) / kThreads)),
        .block = dim3(kThreads),
        .overlaps_previous = true};
    launch(vectors ? embed_kernel<T, kVectorWidth> : embed_kernel<T, 1>, shape, stream, batch.token_ids,
           static_cast<const T*>(table), residual, static_cast<int32_t>(columns));
  });
}

}  // namespace weir::cuda
