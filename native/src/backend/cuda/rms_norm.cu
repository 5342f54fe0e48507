// A block takes a row: it reads the row once into registers, adds up the squares, and writes from the
// registers. Squares are added up in an order that depends on the number of columns alone.
#include <algorithm>

#include "backend/cuda/launch.h"
#include "backend/cuda/operators.h"
#include "backend/cuda/ptx.h"
#include "backend/cuda/reduce.h"
#include "backend/cuda/vector.h"

namespace weir::cuda {
namespace {

constexpr int32_t kMaxThreads = 1024;

// residual += delta in kWidth columns from `column` on, if there is a delta; returns them.
template <typename T, int32_t kWidth>
__device__ __forceinline__ Vector<float, kWidth> updated(float* residual, const T* delta, int32_t column) {
  Vector<float, kWidth> x = load_vector<kWidth>(residual + column);
  if (delta != nullptr) {
    const Vector<T, kWidth> added = load_vector<kWidth>(delta + column);
#pragma unroll
    for (int32_t i = 0; i < kWidth; i++) x.element[i] += to_float(added.element[i]);
    store_vector<kWidth>(residual + column, x);
  }
  return x;
}

template <int32_t kWidth>
__device__ __forceinline__ float sum_of_squares(const Vector<float, kWidth>& x, float sum) {
#pragma unroll
  for (int32_t i = 0; i < kWidth; i++) sum = fmaf(x.element[i], x.element[i], sum);
  return sum;
}

template <typename T, int32_t kWidth>
__device__ __forceinline__ void write_scaled(const Vector<float, kWidth>& x,
                                             const Vector<float, kWidth>& gain, float scale, T* out) {
  Vector<T, kWidth> scaled;
#pragma unroll
  for (int32_t i = 0; i < kWidth; i++) {
    scaled.element[i] = from_float<T>(x.element[i] * scale * gain.element[i]);
  }
  store_vector<kWidth>(out, scaled);
}

// With `delta`, `x` is the residual that it is added to; without, x is only read.
template <typename T, int32_t kWidth>
__global__ void __launch_bounds__(kMaxThreads)
    rms_norm_kernel(float* x, const T* delta, const float* gain, float epsilon, T* out, int32_t columns) {
  const int64_t row = int64_t{blockIdx.x} * columns;
  const int32_t first = static_cast<int32_t>(threadIdx.x) * kWidth;
  const int32_t stride = static_cast<int32_t>(blockDim.x) * kWidth;
  // Weights are there before the kernels of the step begin.
  Vector<float, kWidth> first_gain{};
  if (first < columns) first_gain = load_vector<kWidth>(gain + first);
  griddepcontrol_wait();
  griddepcontrol_launch_dependents();

  x += row;
  if (delta != nullptr) delta += row;
  out += row;
  Vector<float, kWidth> held{};
  if (first < columns) held = updated<T, kWidth>(x, delta, first);
  float squares = sum_of_squares(held, 0.0f);
  for (int32_t column = first + stride; column < columns; column += stride) {
    squares = sum_of_squares(updated<T, kWidth>(x, delta, column), squares);
  }
  squares = block_sum(squares);
  const float scale = rsqrtf(squares / static_cast<float>(columns) + epsilon);

  if (first < columns) write_scaled<T, kWidth>(held, first_gain, scale, out + first);
  for (int32_t column = first + stride; column < columns; column += stride) {
    write_scaled<T, kWidth>(load_vector<kWidth>(x + column), load_vector<kWidth>(gain + column), scale,
                            out + column);
  }
}

void launch_rms_norm(cudaStream_t stream, ElementType type, float* x, const void* delta, const float* gain,
                     float epsilon, void* out, int64_t rows, int64_t columns) {
  if (rows == 0) return;
  with_activation_type(type, [&]<typename T>(T*) {
    const bool vectors = columns % kVectorWidth == 0;
    const int64_t items = vectors ? columns / kVectorWidth : columns;
    const int64_t threads = std::min<int64_t>((items + kWarpSize - 1) / kWarpSize * kWarpSize, kMaxThreads);
    const LaunchShape shape{.grid = dim3(static_cast<uint32_t>(rows)),
                            .block = dim3(static_cast<uint32_t>(threads)),
                            .overlaps_previous = true};
    launch(vectors ? rms_norm_kernel<T, kVectorWidth> : rms_norm_kernel<T, 1>, shape, stream, x,
           static_cast<const T*>(delta), gain, epsilon, static_cast<T*>(out), static_cast<int32_t>(columns));
  });
}

}  // namespace

void rms_norm(cudaStream_t stream, ElementType type, const float* x, const float* gain, float epsilon,
              void* out, int64_t rows, int64_t columns) {
  // Without a delta the kernel does not write to x.
  launch_rms_norm(stream, type, const_cast<float*>(x), nullptr, gain, epsilon, out, rows, columns);
}

void add_rms_norm(cudaStream_t stream, ElementType type, float* residual, const void* delta,
                  const float* gain, float epsilon, void* out, int64_t rows, int64_t columns) {
  launch_rms_norm(stream, type, residual, delta, gain, epsilon, out, rows, columns);
}

}  // namespace weir::cuda
