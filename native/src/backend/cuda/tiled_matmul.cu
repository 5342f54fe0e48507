#include <cstdint>

#include "backend/cuda/launch.h"
#include "backend/cuda/matmul.h"
#include "backend/cuda/ptx.h"
#include "backend/cuda/reduce.h"
#include "backend/cuda/vector.h"

namespace weir::cuda {
namespace {

// A block computes kFeatures outputs for kTokens rows: weights are the left operand of the tensor cores, 16
// of them to each warp, and the rows of x the right one, 8 at a time. Tiles of kDepth inputs come through
// shared memory in kStages stages.
constexpr int32_t kWarps = 4;
constexpr int32_t kThreads = kWarps * kWarpSize;
constexpr int32_t kFeatures = kWarps * 16;
constexpr int32_t kDepth = 64;
constexpr int32_t kStages = 3;
// Rows in shared memory are 16 bytes apart from a multiple of 128, so that the 8 rows of an 8 x 8 matrix lie
// in different banks.
constexpr int32_t kPitch = kDepth + kVectorWidth;

template <typename T>
__device__ __forceinline__ void multiply_add(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
template <>
__device__ __forceinline__ void multiply_add<__half>(float (&d)[4], const uint32_t (&a)[4],
                                                     const uint32_t (&b)[2]) {
  mma_m16n8k16_f16(d, a, b);
}
template <>
__device__ __forceinline__ void multiply_add<__nv_bfloat16>(float (&d)[4], const uint32_t (&a)[4],
                                                            const uint32_t (&b)[2]) {
  mma_m16n8k16_bf16(d, a, b);
}

__device__ __forceinline__ void store(float x, float* out) { *out = x; }
template <typename T>
__device__ __forceinline__ void store(float x, T* out) {
  *out = from_float<T>(x);
}

// Brings rows [first, first + kTileRows) of a [rows][in_size] matrix, inputs [begin, begin + kDepth), to
// `tile`; zeros where there is nothing.
template <typename T, int32_t kTileRows, bool kAligned>
__device__ __forceinline__ void load_tile(T* tile, const T* __restrict__ matrix, int64_t first, int64_t rows,
                                          int64_t begin, int64_t in_size) {
  if (kAligned) {
    constexpr int32_t kVectors = kDepth / kVectorWidth;
    for (int32_t i = static_cast<int32_t>(threadIdx.x); i < kTileRows * kVectors; i += kThreads) {
      const int32_t row = i / kVectors;
      const int32_t k = i % kVectors * kVectorWidth;
      const bool inside = first + row < rows && begin + k < in_size;
      const T* from = inside ? matrix + (first + row) * in_size + begin + k : matrix;
      cp_async_16_zero_fill(tile + row * kPitch + k, from, inside ? 16 : 0);
    }
    cp_async_commit();
  } else {
    for (int32_t i = static_cast<int32_t>(threadIdx.x); i < kTileRows * kDepth; i += kThreads) {
      const int32_t row = i / kDepth;
      const int32_t k = i % kDepth;
      const bool inside = first + row < rows && begin + k < in_size;
      tile[row * kPitch + k] = inside ? matrix[(first + row) * in_size + begin + k] : from_float<T>(0);
    }
  }
}

template <typename T, typename Out, int32_t kTokens, bool kAligned>
__global__ void __launch_bounds__(kThreads, 2)
    tiled_matmul_kernel(const T* __restrict__ weight, int64_t out_size, int64_t in_size,
                        const T* __restrict__ x, int64_t rows, Out* __restrict__ out) {
  WEIR_DYNAMIC_SHARED(shared);
  T* const weights = reinterpret_cast<T*>(shared);           // [kStages][kFeatures][kPitch]
  T* const inputs = weights + kStages * kFeatures * kPitch;  // [kStages][kTokens][kPitch]
  const int64_t first_feature = int64_t{blockIdx.x} * kFeatures;
  const int64_t first_token = int64_t{blockIdx.y} * kTokens;
  const int32_t lane = lane_of_thread();
  const int32_t warp = warp_of_thread();
  const int32_t steps = static_cast<int32_t>((in_size + kDepth - 1) / kDepth);

  const auto load = [&](int32_t step) {
    const int32_t stage = step % kStages;
    load_tile<T, kFeatures, kAligned>(weights + stage * kFeatures * kPitch, weight, first_feature, out_size,
                                      int64_t{step} * kDepth, in_size);
    load_tile<T, kTokens, kAligned>(inputs + stage * kTokens * kPitch, x, first_token, rows,
                                    int64_t{step} * kDepth, in_size);
  };
  float sum[kTokens / 8][4] = {};
  for (int32_t step = 0; step < kStages - 1; step++) {
    if (step < steps) {
      load(step);
    } else if (kAligned) {
      // Groups are counted, so that the wait below finds the right one.
      cp_async_commit();
      cp_async_commit();
    }
  }
  for (int32_t step = 0; step < steps; step++) {
    // Two groups a step: those of the steps after this one may still be under way.
    if (kAligned) cp_async_wait<2 * (kStages - 2)>();
    __syncthreads();
    // The stage that was used up in the step before: all threads are past it.
    if (step + kStages - 1 < steps) {
      load(step + kStages - 1);
    } else if (kAligned) {
      cp_async_commit();
      cp_async_commit();
    }
    const T* const w = weights + (step % kStages) * kFeatures * kPitch + warp * 16 * kPitch;
    const T* const in = inputs + (step % kStages) * kTokens * kPitch;
#pragma unroll
    for (int32_t k = 0; k < kDepth; k += 16) {
      uint32_t a[4];
      ldmatrix_x4(a, w + lane % 16 * kPitch + k + lane / 16 * 8);
      // Two of the 8-row matrices of x at a time, or the two halves of one.
      if constexpr (kTokens == 8) {
        uint32_t b[4];
        ldmatrix_x4(b, in + lane % 8 * kPitch + k + lane / 8 % 2 * 8);
        multiply_add<T>(sum[0], a, {b[0], b[1]});
      } else {
#pragma unroll
        for (int32_t n = 0; n < kTokens / 8; n += 2) {
          uint32_t b[4];
          ldmatrix_x4(b, in + (n * 8 + lane % 8 + lane / 16 * 8) * kPitch + k + lane / 8 % 2 * 8);
          multiply_add<T>(sum[n], a, {b[0], b[1]});
          multiply_add<T>(sum[n + 1], a, {b[2], b[3]});
        }
      }
    }
  }
#pragma unroll
  for (int32_t n = 0; n < kTokens / 8; n++) {
#pragma unroll
    for (int32_t i = 0; i < 4; i++) {
      const int64_t feature = first_feature + warp * 16 + lane / 4 + i / 2 * 8;
      const int64_t token = first_token + n * 8 + lane % 4 * 2 + i % 2;
      if (feature < out_size && token < rows) store(sum[n][i], out + token * out_size + feature);
    }
  }
}

template <typename T, typename Out, int32_t kTokens, bool kAligned>
void launch_for(cudaStream_t stream, const void* weight, int64_t out_size, int64_t in_size, const void* x,
                int64_t rows, void* out) {
  const auto kernel = tiled_matmul_kernel<T, Out, kTokens, kAligned>;
  LaunchShape shape;
  shape.grid = dim3(static_cast<uint32_t>((out_size + kFeatures - 1) / kFeatures),
                    static_cast<uint32_t>((rows + kTokens - 1) / kTokens));
  shape.block = dim3(kThreads);
  shape.shared_bytes = size_t{kStages} * (kFeatures + kTokens) * kPitch * sizeof(T);
  // Asked for at every launch, as each device has its own setting; it is a few instructions.
  if (shape.shared_bytes > 48 * 1024) allow_shared_bytes(kernel, shape.shared_bytes);
  launch(kernel, shape, stream, static_cast<const T*>(weight), out_size, in_size, static_cast<const T*>(x),
         rows, static_cast<Out*>(out));
}

template <typename T, typename Out, bool kAligned>
void launch_rows(cudaStream_t stream, const void* weight, int64_t out_size, int64_t in_size, const void* x,
                 int64_t rows, void* out) {
  if (rows <= 8) return launch_for<T, Out, 8, kAligned>(stream, weight, out_size, in_size, x, rows, out);
  if (rows <= 32) return launch_for<T, Out, 32, kAligned>(stream, weight, out_size, in_size, x, rows, out);
  if (rows <= 64) return launch_for<T, Out, 64, kAligned>(stream, weight, out_size, in_size, x, rows, out);
  return launch_for<T, Out, 128, kAligned>(stream, weight, out_size, in_size, x, rows, out);
}

template <typename T, typename Out>
void launch_aligned(cudaStream_t stream, const void* weight, int64_t out_size, int64_t in_size, const void* x,
                    int64_t rows, void* out) {
  if (in_size % kVectorWidth == 0)
    return launch_rows<T, Out, true>(stream, weight, out_size, in_size, x, rows, out);
  return launch_rows<T, Out, false>(stream, weight, out_size, in_size, x, rows, out);
}

}  // namespace

void tiled_matmul(cudaStream_t stream, ElementType type, const void* weight, int64_t out_size,
                  int64_t in_size, const void* x, int64_t rows, void* out, ElementType out_type) {
  with_activation_type(type, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    if (out_type == ElementType::kF32) {
      launch_aligned<T, float>(stream, weight, out_size, in_size, x, rows, out);
    } else {
      launch_aligned<T, T>(stream, weight, out_size, in_size, x, rows, out);
    }
  });
}

}  // namespace weir::cuda
