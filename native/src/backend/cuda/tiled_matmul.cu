#include <cstdint>
#include <type_traits>

#include "backend/cuda/launch.h"
#include "backend/cuda/matmul.h"
#include "backend/cuda/mma_order.h"
#include "backend/cuda/ptx.h"
#include "backend/cuda/reduce.h"
#include "backend/cuda/vector.h"

namespace weir::cuda {
namespace {

// A block computes kOutputs outputs for kTokens rows of x, each of its warps 32 outputs for kWarpTokens rows.
// Tiles of kDepth inputs come through shared memory in kStages stages. A stage is [chunk][row][kChunk]: a
// warp reads a fragment, 8 rows of 64 bytes, as 512 bytes that lie together, without conflicts of banks.
constexpr int32_t kOutputWarps = 4;
constexpr int32_t kOutputs = kOutputWarps * 32;
constexpr int32_t kDepth = 2 * kChunk;
constexpr int32_t kStages = 4;

__device__ __forceinline__ void store(float x, float* out) { *out = x; }
template <typename T>
__device__ __forceinline__ void store(float x, T* out) {
  *out = from_float<T>(x);
}

// Brings rows [first, first + kRows) of a [rows][in_size] matrix, inputs [begin, begin + kDepth), to `tile`;
// zeros where there is nothing.
template <typename T, int32_t kRows, int32_t kThreads, bool kAligned>
__device__ __forceinline__ void load_tile(T* tile, const T* matrix, int64_t first, int64_t rows,
                                          int64_t begin, int64_t in_size) {
  constexpr int32_t kWidth = kAligned ? kVectorWidth : 1;
  constexpr int32_t kPerRow = kChunk / kWidth;
#pragma unroll 4
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < kRows * kDepth / kWidth; i += kThreads) {
    const int32_t chunk = i / (kRows * kPerRow);
    const int32_t row = i / kPerRow % kRows;
    const int64_t k = begin + chunk * kChunk + i % kPerRow * kWidth;
    const bool inside = first + row < rows && k < in_size;
    const T* from = inside ? matrix + (first + row) * in_size + k : matrix;
    if (kAligned) {
      cp_async_16_zero_fill(tile + i * kWidth, from, inside ? 16 : 0);
    } else {
      tile[i] = inside ? *from : from_float<T>(0);
    }
  }
}

template <typename T, typename Out, int32_t kTokens, int32_t kWarpTokens, bool kAligned>
__global__ void __launch_bounds__(kOutputWarps* kTokens / kWarpTokens * kWarpSize, 1)
    tiled_matmul_kernel(const T* weight, int64_t out_size, int64_t in_size, const T* x, int64_t rows,
                        Out* out) {
  constexpr int32_t kThreads = kOutputWarps * kTokens / kWarpTokens * kWarpSize;
  constexpr int32_t kColumns = kWarpTokens / 8;
  WEIR_DYNAMIC_SHARED(shared);
  T* const weights = reinterpret_cast<T*>(shared);          // [kStages][chunk][kOutputs][kChunk]
  T* const inputs = weights + kStages * kOutputs * kDepth;  // [kStages][chunk][kTokens][kChunk]
  const int64_t first_output = int64_t{blockIdx.x} * kOutputs;
  const int64_t first_token = int64_t{blockIdx.y} * kTokens;
  const int32_t lane = lane_of_thread();
  const int32_t output_of_warp = warp_of_thread() % kOutputWarps * 32;
  const int32_t token_of_warp = warp_of_thread() / kOutputWarps * kWarpTokens;
  const int32_t chunks = chunks_of(in_size);
  const int32_t steps = (chunks + 1) / 2;
  // Lane 4 g + q reads inputs 8 q .. 8 q + 7 of row g.
  const int32_t of_lane = lane * kVectorWidth;

  const auto load = [&](int32_t step) {
    if (step < steps) {
      const int32_t stage = step % kStages;
      load_tile<T, kOutputs, kThreads, kAligned>(weights + stage * kOutputs * kDepth, weight, first_output,
                                                 out_size, int64_t{step} * kDepth, in_size);
      load_tile<T, kTokens, kThreads, kAligned>(inputs + stage * kTokens * kDepth, x, first_token, rows,
                                                int64_t{step} * kDepth, in_size);
    }
    // Groups are counted, also those of no copies, so that the wait below finds the right one.
    cp_async_commit();
  };
  for (int32_t step = 0; step < kStages - 1; step++) load(step);

  float total[2][kColumns][4] = {};
  float sum[2][kColumns][4] = {};
  int32_t slice = 0;
  int32_t slice_end = slice_begin(chunks, 1);
  const auto add_slices_before = [&](int32_t chunk) {
    if (chunk < slice_end) return;
#pragma unroll
    for (int32_t tile = 0; tile < 2; tile++) {
#pragma unroll
      for (int32_t column = 0; column < kColumns; column++) {
#pragma unroll
        for (int32_t i = 0; i < 4; i++) {
          total[tile][column][i] += sum[tile][column][i];
          sum[tile][column][i] = 0;
        }
      }
    }
    // Slices without a chunk add zeros, which change nothing: a total that began at zero is never -0.
    while (slice < kSlices && chunk >= slice_end) {
      slice++;
      slice_end = slice_begin(chunks, slice + 1);
    }
  };
  for (int32_t step = 0; step < steps; step++) {
    cp_async_wait<kStages - 2>();
    __syncthreads();
    // Into the stage that was used up in the step before: all threads are past it.
    load(step + kStages - 1);
    const T* const w = weights + step % kStages * kOutputs * kDepth + output_of_warp * kChunk + of_lane;
    const T* const in = inputs + step % kStages * kTokens * kDepth + token_of_warp * kChunk + of_lane;
#pragma unroll
    for (int32_t i = 0; i < 2; i++) {
      const int32_t chunk = step * 2 + i;
      // Adding zeros at the end would make -0 of a sum +0.
      if (chunk >= chunks) break;
      add_slices_before(chunk);
      uint4 a[4];
#pragma unroll
      for (int32_t j = 0; j < 4; j++) {
        a[j] = *reinterpret_cast<const uint4*>(w + (i * kOutputs + j * 8) * kChunk);
      }
#pragma unroll
      for (int32_t column = 0; column < kColumns; column++) {
        const uint4 b = *reinterpret_cast<const uint4*>(in + (i * kTokens + column * 8) * kChunk);
        add_chunk<T>(sum[0][column], a[0], a[1], b);
        add_chunk<T>(sum[1][column], a[2], a[3], b);
      }
    }
  }
  add_slices_before(chunks);

#pragma unroll
  for (int32_t tile = 0; tile < 2; tile++) {
#pragma unroll
    for (int32_t column = 0; column < kColumns; column++) {
#pragma unroll
      for (int32_t i = 0; i < 4; i++) {
        const int64_t output = first_output + output_of_warp + tile * 16 + lane / 4 + i / 2 * 8;
        const int64_t token = first_token + token_of_warp + column * 8 + lane % 4 * 2 + i % 2;
        if (output < out_size && token < rows) store(total[tile][column][i], out + token * out_size + output);
      }
    }
  }
}

template <typename T, typename Out, int32_t kTokens, int32_t kWarpTokens, bool kAligned>
void launch_for(cudaStream_t stream, const void* weight, int64_t out_size, int64_t in_size, const void* x,
                int64_t rows, void* out) {
  const auto kernel = tiled_matmul_kernel<T, Out, kTokens, kWarpTokens, kAligned>;
  LaunchShape shape;
  shape.grid = dim3(static_cast<uint32_t>((out_size + kOutputs - 1) / kOutputs),
                    static_cast<uint32_t>((rows + kTokens - 1) / kTokens));
  shape.block = dim3(kOutputWarps * kTokens / kWarpTokens * kWarpSize);
  shape.shared_bytes = size_t{kStages} * (kOutputs + kTokens) * kDepth * sizeof(T);
  // Asked for at every launch, as each device has its own setting; it is a few instructions.
  allow_shared_bytes(kernel, shape.shared_bytes);
  launch(kernel, shape, stream, static_cast<const T*>(weight), out_size, in_size, static_cast<const T*>(x),
         rows, static_cast<Out*>(out));
}

template <typename T, typename Out, bool kAligned>
void launch_rows(cudaStream_t stream, const void* weight, int64_t out_size, int64_t in_size, const void* x,
                 int64_t rows, void* out) {
  if (rows <= 16)
    return launch_for<T, Out, 16, 16, kAligned>(stream, weight, out_size, in_size, x, rows, out);
  return launch_for<T, Out, 128, 64, kAligned>(stream, weight, out_size, in_size, x, rows, out);
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
