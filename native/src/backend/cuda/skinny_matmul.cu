#include <cstdint>
#include <type_traits>

#include "backend/cuda/launch.h"
#include "backend/cuda/matmul.h"
#include "backend/cuda/mma_order.h"
#include "backend/cuda/ptx.h"
#include "backend/cuda/reduce.h"
#include "backend/cuda/silu.h"
#include "backend/cuda/vector.h"

namespace weir::cuda {
namespace {

// A block computes 16 or 32 outputs for all rows of x; each of its warps takes one slice of the inputs. The
// weights go from device memory straight into the registers that the tensor cores read, those of the next
// step while this one is computed: 8 vectors a lane, 4 KiB a warp. Nobody else needs them, so shared memory
// would only be a detour. x is small and is read through L1.
constexpr int32_t kThreads = kSlices * kWarpSize;

enum class Epilogue { kStore, kGated };

// Tiles of 16 weights that a warp multiplies each fragment of x by.
template <int32_t kTokens, Epilogue kEpilogue>
constexpr int32_t kTilesOf = kEpilogue == Epilogue::kGated || kTokens > 16 ? 2 : 1;

// With more rows the sums alone take most of the registers.
template <int32_t kTokens>
constexpr int32_t kBlocksOf = kTokens <= 16 ? 2 : 1;

__device__ __forceinline__ void store(float x, float* out) { *out = x; }
template <typename T>
__device__ __forceinline__ void store(float x, T* out) {
  *out = from_float<T>(x);
}

// out_size outputs of in_size weights each, in_size a multiple of 8; 1 <= rows <= kTokens. Gated: the weights
// of `up` follow those of out_size outputs of `gate`, and the second tile of a block is the one of `up`.
// x is not marked __restrict__: it may have been written by a kernel that ran beside this one's beginning.
template <typename T, typename Out, int32_t kTokens, Epilogue kEpilogue>
__global__ void __launch_bounds__(kThreads, kBlocksOf<kTokens>)
    skinny_matmul_kernel(const T* __restrict__ weight, int64_t out_size, int64_t in_size, const T* x,
                         int32_t rows, Out* out) {
  constexpr int32_t kTiles = kTilesOf<kTokens, kEpilogue>;
  constexpr int32_t kOutputs = kEpilogue == Epilogue::kGated ? 16 : 16 * kTiles;
  constexpr int32_t kColumns = kTokens / 8;  // tiles of 8 rows of x
  constexpr int32_t kStep = 4 / kTiles;      // chunks
  // Sums of one output of all rows are 4 banks apart from a multiple of 16: no two lanes write to one bank.
  constexpr int32_t kPitch = 16 + 4;
  __shared__ float partial[kSlices][kTokens][kPitch];

  const int32_t lane = lane_of_thread();
  const int32_t slice = warp_of_thread();
  const int32_t group = lane / 4;
  const int32_t quad = lane % 4;
  const int32_t chunks = chunks_of(in_size);
  const int32_t begin = slice_begin(chunks, slice);
  const int32_t end = slice_begin(chunks, slice + 1);
  const int64_t first = int64_t{blockIdx.x} * kOutputs;

  // Beyond the last output the last one is computed again, and not stored.
  const T* row[kTiles][2];
#pragma unroll
  for (int32_t tile = 0; tile < kTiles; tile++) {
#pragma unroll
    for (int32_t eight = 0; eight < 2; eight++) {
      const int64_t output = first + (kEpilogue == Epilogue::kGated ? 0 : tile * 16) + eight * 8 + group;
      const int64_t last = out_size - 1;
      row[tile][eight] =
          weight +
          ((output < last ? output : last) + (kEpilogue == Epilogue::kGated ? tile * out_size : int64_t{0})) *
              in_size +
          quad * kVectorWidth;
    }
  }
  const uint4 zeros = make_uint4(0, 0, 0, 0);
  const auto load = [&](uint4(&to)[kStep][kTiles][2], int32_t from) {
#pragma unroll
    for (int32_t i = 0; i < kStep; i++) {
      const int64_t k = int64_t{from + i} * kChunk;
      const bool inside = from + i < end && k + quad * kVectorWidth < in_size;
#pragma unroll
      for (int32_t tile = 0; tile < kTiles; tile++) {
#pragma unroll
        for (int32_t eight = 0; eight < 2; eight++) {
          to[i][tile][eight] = inside ? load_streaming_16(row[tile][eight] + k) : zeros;
        }
      }
    }
  };

  uint4 next[kStep][kTiles][2];
  load(next, begin);
  // Weights do not depend on the kernel before; x does.
  griddepcontrol_wait();
  griddepcontrol_launch_dependents();

  float sum[kTiles][kColumns][4] = {};
  for (int32_t chunk = begin; chunk < end; chunk += kStep) {
    uint4 weights[kStep][kTiles][2];
#pragma unroll
    for (int32_t i = 0; i < kStep; i++) {
#pragma unroll
      for (int32_t tile = 0; tile < kTiles; tile++) {
        weights[i][tile][0] = next[i][tile][0];
        weights[i][tile][1] = next[i][tile][1];
      }
    }
    load(next, chunk + kStep);
#pragma unroll
    for (int32_t i = 0; i < kStep; i++) {
      // Adding zeros at the end would make -0 of a sum +0.
      if (chunk + i >= end) break;
      const int64_t k = int64_t{chunk + i} * kChunk + quad * kVectorWidth;
      uint4 in[kColumns];
#pragma unroll
      for (int32_t column = 0; column < kColumns; column++) {
        const int32_t token = column * 8 + group;
        const bool inside = token < rows && k < in_size;
        in[column] = inside ? *reinterpret_cast<const uint4*>(x + token * in_size + k) : zeros;
      }
#pragma unroll
      for (int32_t column = 0; column < kColumns; column++) {
#pragma unroll
        for (int32_t tile = 0; tile < kTiles; tile++) {
          add_chunk<T>(sum[tile][column], weights[i][tile][0], weights[i][tile][1], in[column]);
        }
      }
    }
  }

  // One tile after another, so that shared memory holds the slices of one.
  constexpr int32_t kSums = (16 * kTokens + kThreads - 1) / kThreads;  // of a thread
  float result[kTiles][kSums] = {};
#pragma unroll
  for (int32_t tile = 0; tile < kTiles; tile++) {
    if (tile > 0) __syncthreads();
#pragma unroll
    for (int32_t column = 0; column < kColumns; column++) {
#pragma unroll
      for (int32_t i = 0; i < 4; i++) {
        partial[slice][column * 8 + quad * 2 + i % 2][group + i / 2 * 8] = sum[tile][column][i];
      }
    }
    __syncthreads();
#pragma unroll
    for (int32_t i = 0; i < kSums; i++) {
      const int32_t element = static_cast<int32_t>(threadIdx.x) + i * kThreads;
      if (element >= 16 * kTokens) break;
#pragma unroll
      for (int32_t s = 0; s < kSlices; s++) result[tile][i] += partial[s][element / 16][element % 16];
    }
  }
#pragma unroll
  for (int32_t i = 0; i < kSums; i++) {
    const int32_t element = static_cast<int32_t>(threadIdx.x) + i * kThreads;
    const int32_t token = element / 16;
    if (token >= rows) break;
    if (kEpilogue == Epilogue::kGated) {
      const int64_t output = first + element % 16;
      if (output >= out_size) continue;
      // As where silu_multiply reads what was stored.
      const float gate = to_float(from_float<T>(result[0][i]));
      const float up = to_float(from_float<T>(result[kTiles - 1][i]));
      store(silu(gate) * up, out + token * out_size + output);
    } else {
#pragma unroll
      for (int32_t tile = 0; tile < kTiles; tile++) {
        const int64_t output = first + tile * 16 + element % 16;
        if (output < out_size) store(result[tile][i], out + token * out_size + output);
      }
    }
  }
}

template <typename T, typename Out, int32_t kTokens, Epilogue kEpilogue>
void launch_for(cudaStream_t stream, const void* weight, int64_t out_size, int64_t in_size, const void* x,
                int64_t rows, void* out) {
  constexpr int64_t kOutputs = kEpilogue == Epilogue::kGated ? 16 : 16 * kTilesOf<kTokens, kEpilogue>;
  LaunchShape shape;
  shape.grid = dim3(static_cast<uint32_t>((out_size + kOutputs - 1) / kOutputs));
  shape.block = dim3(kThreads);
  shape.overlaps_previous = true;
  launch(skinny_matmul_kernel<T, Out, kTokens, kEpilogue>, shape, stream, static_cast<const T*>(weight),
         out_size, in_size, static_cast<const T*>(x), static_cast<int32_t>(rows), static_cast<Out*>(out));
}

template <typename T, typename Out, Epilogue kEpilogue>
void launch_rows(cudaStream_t stream, const void* weight, int64_t out_size, int64_t in_size, const void* x,
                 int64_t rows, void* out) {
  if (rows <= 8) return launch_for<T, Out, 8, kEpilogue>(stream, weight, out_size, in_size, x, rows, out);
  if (rows <= 16) return launch_for<T, Out, 16, kEpilogue>(stream, weight, out_size, in_size, x, rows, out);
  if (rows <= 32) return launch_for<T, Out, 32, kEpilogue>(stream, weight, out_size, in_size, x, rows, out);
  return launch_for<T, Out, 64, kEpilogue>(stream, weight, out_size, in_size, x, rows, out);
}

}  // namespace

void skinny_matmul(cudaStream_t stream, ElementType type, const void* weight, int64_t out_size,
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

void skinny_gated_matmul(cudaStream_t stream, ElementType type, const void* gate_up, int64_t out_size,
                         int64_t in_size, const void* x, int64_t rows, void* out) {
  with_activation_type(type, [&](auto* element) {
    using T = std::remove_pointer_t<decltype(element)>;
    launch_rows<T, T, Epilogue::kGated>(stream, gate_up, out_size, in_size, x, rows, out);
  });
}

}  // namespace weir::cuda
