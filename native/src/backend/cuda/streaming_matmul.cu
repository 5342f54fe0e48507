#include <cstdint>
#include <type_traits>

#include "backend/cuda/launch.h"
#include "backend/cuda/matmul.h"
#include "backend/cuda/ptx.h"
#include "backend/cuda/reduce.h"
#include "backend/cuda/silu.h"
#include "backend/cuda/vector.h"

namespace weir::cuda {
namespace {

// Each warp computes a few outputs for all rows of x: its lanes read 16 bytes of each of the outputs' weights
// at a time, side by side, and x comes from L1, so that device memory sees every weight once and nothing else
// of size. The 8 vectors of a lane's next step are under way while this one is computed: 4 KiB a warp.
constexpr int32_t kWarps = 8;
constexpr int32_t kThreads = kWarps * kWarpSize;
constexpr int32_t kStep = kWarpSize * kVectorWidth;  // elements of a row that a warp reads at once

enum class Epilogue { kStore, kGated };

// Outputs of a warp: a vector of x serves both, and narrow matrices still have warps for all multiprocessors.
constexpr int32_t kOutputs = 2;
constexpr int32_t kUnrolled = 8 / kOutputs;

__device__ __forceinline__ void store(float x, float* out) { *out = x; }
template <typename T>
__device__ __forceinline__ void store(float x, T* out) {
  *out = from_float<T>(x);
}

template <typename T>
union WeightVector {
  uint4 bits;
  T element[kVectorWidth];
};

// out_size outputs of in_size weights each. Gated: the weights of `up` follow those of out_size outputs of
// `gate`, and a warp takes half of its outputs from each. kAligned: in_size is a multiple of 8. x is not
// marked __restrict__: it may have been written by a kernel that ran beside this one's beginning.
template <typename T, typename Out, int32_t kRows, Epilogue kEpilogue, bool kAligned>
__global__ void __launch_bounds__(kThreads, 2)
    streaming_matmul_kernel(const T* __restrict__ weight, int64_t out_size, int64_t in_size, const T* x,
                            Out* out) {
  constexpr int32_t kOwn = kEpilogue == Epilogue::kGated ? kOutputs / 2 : kOutputs;
  const int32_t lane = lane_of_thread();
  const int64_t first = (int64_t{blockIdx.x} * kWarps + warp_of_thread()) * kOwn;
  const T* row[kOutputs];
#pragma unroll
  for (int32_t j = 0; j < kOutputs; j++) {
    // Beyond the last output the last one is computed again, and not stored.
    const int64_t output = first + j % kOwn < out_size ? first + j % kOwn : out_size - 1;
    row[j] = weight + (output + (j < kOwn ? 0 : out_size)) * in_size;
  }

  float sum[kOutputs][kRows] = {};
  if (kAligned) {
    const auto load = [&](WeightVector<T>(&to)[kUnrolled][kOutputs], int64_t begin) {
#pragma unroll
      for (int32_t u = 0; u < kUnrolled; u++) {
        const int64_t k = begin + u * kStep + lane * kVectorWidth;
#pragma unroll
        for (int32_t j = 0; j < kOutputs; j++) {
          to[u][j].bits = k < in_size ? load_streaming_16(row[j] + k) : make_uint4(0, 0, 0, 0);
        }
      }
    };
    WeightVector<T> next[kUnrolled][kOutputs];
    load(next, 0);
    // Weights do not depend on the kernel before; x does.
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    for (int64_t begin = 0; begin < in_size; begin += kStep * kUnrolled) {
      WeightVector<T> w[kUnrolled][kOutputs];
#pragma unroll
      for (int32_t u = 0; u < kUnrolled; u++) {
#pragma unroll
        for (int32_t j = 0; j < kOutputs; j++) w[u][j].bits = next[u][j].bits;
      }
      load(next, begin + kStep * kUnrolled);
#pragma unroll
      for (int32_t u = 0; u < kUnrolled; u++) {
        const int64_t k = begin + u * kStep + lane * kVectorWidth;
        if (k >= in_size) break;
#pragma unroll
        for (int32_t r = 0; r < kRows; r++) {
          const auto in = load_vector<kVectorWidth>(x + r * in_size + k);
#pragma unroll
          for (int32_t i = 0; i < kVectorWidth; i++) {
#pragma unroll
            for (int32_t j = 0; j < kOutputs; j++) {
              sum[j][r] = fmaf(to_float(w[u][j].element[i]), to_float(in.element[i]), sum[j][r]);
            }
          }
        }
      }
    }
  } else {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    for (int64_t k = lane; k < in_size; k += kWarpSize) {
#pragma unroll
      for (int32_t r = 0; r < kRows; r++) {
        const float in = to_float(x[r * in_size + k]);
#pragma unroll
        for (int32_t j = 0; j < kOutputs; j++) sum[j][r] = fmaf(to_float(row[j][k]), in, sum[j][r]);
      }
    }
  }
#pragma unroll
  for (int32_t j = 0; j < kOutputs; j++) {
#pragma unroll
    for (int32_t r = 0; r < kRows; r++) sum[j][r] = warp_reduce(sum[j][r], Add{});
  }
  if (lane != 0) return;
#pragma unroll
  for (int32_t j = 0; j < kOwn; j++) {
    if (first + j >= out_size) return;
#pragma unroll
    for (int32_t r = 0; r < kRows; r++) {
      float result = sum[j][r];
      if (kEpilogue == Epilogue::kGated) {
        // As where silu_multiply reads what was stored.
        const float gate = to_float(from_float<T>(sum[j][r]));
        const float up = to_float(from_float<T>(sum[j + kOutputs - kOwn][r]));
        result = silu(gate) * up;
      }
      store(result, out + r * out_size + first + j);
    }
  }
}

template <typename T, typename Out, int32_t kRows, Epilogue kEpilogue>
void launch_for(cudaStream_t stream, const void* weight, int64_t out_size, int64_t in_size, const void* x,
                void* out) {
  constexpr int32_t kOwn = kEpilogue == Epilogue::kGated ? kOutputs / 2 : kOutputs;
  LaunchShape shape;
  shape.grid = dim3(static_cast<uint32_t>((out_size + kWarps * kOwn - 1) / (kWarps * kOwn)));
  shape.block = dim3(kThreads);
  shape.overlaps_previous = true;
  const auto run = [&](auto kernel) {
    launch(kernel, shape, stream, static_cast<const T*>(weight), out_size, in_size, static_cast<const T*>(x),
           static_cast<Out*>(out));
  };
  if (in_size % kVectorWidth == 0) {
    run(streaming_matmul_kernel<T, Out, kRows, kEpilogue, true>);
  } else {
    run(streaming_matmul_kernel<T, Out, kRows, kEpilogue, false>);
  }
}

template <typename T, typename Out, Epilogue kEpilogue, int32_t kRows = 1>
void launch_rows(cudaStream_t stream, const void* weight, int64_t out_size, int64_t in_size, const void* x,
                 int64_t rows, void* out) {
  if (rows == kRows) {
    launch_for<T, Out, kRows, kEpilogue>(stream, weight, out_size, in_size, x, out);
  } else if constexpr (kRows < kStreamedRows) {
    launch_rows<T, Out, kEpilogue, kRows + 1>(stream, weight, out_size, in_size, x, rows, out);
  }
}

}  // namespace

void streaming_matmul(cudaStream_t stream, ElementType type, const void* weight, int64_t out_size,
                      int64_t in_size, const void* x, int64_t rows, void* out, ElementType out_type) {
  with_activation_type(type, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    if (out_type == ElementType::kF32) {
      launch_rows<T, float, Epilogue::kStore>(stream, weight, out_size, in_size, x, rows, out);
    } else {
      launch_rows<T, T, Epilogue::kStore>(stream, weight, out_size, in_size, x, rows, out);
    }
  });
}

void streaming_gated_matmul(cudaStream_t stream, ElementType type, const void* gate_up, int64_t out_size,
                            int64_t in_size, const void* x, int64_t rows, void* out) {
  with_activation_type(type, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    launch_rows<T, T, Epilogue::kGated>(stream, gate_up, out_size, in_size, x, rows, out);
  });
}

}  // namespace weir::cuda
