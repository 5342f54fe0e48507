#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <string>

#include "backend/cuda/launch.h"
#include "backend/cuda/weights.h"
#include "core/error.h"
#include "core/random_weight.h"

namespace weir::cuda {
namespace {

constexpr int32_t kThreads = 256;
constexpr int64_t kMaxBlocks = 4096;

__device__ float to_float(float x) { return x; }
__device__ float to_float(__half x) { return __half2float(x); }
__device__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

__device__ void store(float x, float* out) { *out = x; }
__device__ void store(float x, __half* out) { *out = __float2half_rn(x); }
__device__ void store(float x, __nv_bfloat16* out) { *out = __float2bfloat16_rn(x); }

template <typename From, typename To>
__global__ void __launch_bounds__(kThreads)
    convert_kernel(const From* __restrict__ in, To* __restrict__ out, int64_t count, int32_t* overflow) {
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count; i += stride) {
    const float x = to_float(in[i]);
    To rounded;
    store(x, &rounded);
    out[i] = rounded;
    const float infinity = __int_as_float(0x7F800000);
    if (fabsf(to_float(rounded)) == infinity && fabsf(x) != infinity) *overflow = 1;
  }
}

template <typename To>
__global__ void __launch_bounds__(kThreads) random_kernel(To* __restrict__ out, int64_t count, uint64_t seed,
                                                          uint64_t stream, float mean, float width) {
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  for (int64_t group = int64_t{blockIdx.x} * kThreads + threadIdx.x; group * 4 < count; group += stride) {
    const PhiloxBlock block = random_weight_block(seed, stream, group);
    for (int32_t j = 0; j < 4 && group * 4 + j < count; j++) {
      store(random_weight(block.word[j], mean, width), out + group * 4 + j);
    }
  }
}

LaunchShape shape_for(int64_t threads) {
  LaunchShape shape;
  shape.grid =
      dim3(static_cast<uint32_t>(std::clamp<int64_t>((threads + kThreads - 1) / kThreads, 1, kMaxBlocks)));
  shape.block = dim3(kThreads);
  return shape;
}

template <typename From, typename To>
void launch_convert(cudaStream_t stream, const void* in, void* out, int64_t count, int32_t* overflow) {
  launch(convert_kernel<From, To>, shape_for(count), stream, static_cast<const From*>(in),
         static_cast<To*>(out), count, overflow);
}

template <typename From>
void convert_from(cudaStream_t stream, const void* in, ElementType to, void* out, int64_t count,
                  int32_t* overflow) {
  switch (to) {
    case ElementType::kF32:
      return launch_convert<From, float>(stream, in, out, count, overflow);
    case ElementType::kF16:
      return launch_convert<From, __half>(stream, in, out, count, overflow);
    case ElementType::kBf16:
      return launch_convert<From, __nv_bfloat16>(stream, in, out, count, overflow);
    default:
      throw Error(WEIR_INTERNAL, "weights of 8 bits");
  }
}

}  // namespace

void convert(cudaStream_t stream, ElementType from, const void* in, ElementType to, void* out, int64_t count,
             int32_t* overflow) {
  switch (from) {
    case ElementType::kF32:
      return convert_from<float>(stream, in, to, out, count, overflow);
    case ElementType::kF16:
      return convert_from<__half>(stream, in, to, out, count, overflow);
    case ElementType::kBf16:
      return convert_from<__nv_bfloat16>(stream, in, to, out, count, overflow);
    default:
      throw Error(WEIR_INTERNAL, "weights of 8 bits");
  }
}

void fill_random(cudaStream_t stream, const WeightSource& source, ElementType to, void* out) {
  const int64_t count = source.rows * source.columns;
  const float width = random_weight_width(source.deviation);
  const LaunchShape shape = shape_for((count + 3) / 4);
  const auto fill = [&](auto* typed) {
    launch(random_kernel<std::remove_pointer_t<decltype(typed)>>, shape, stream, typed, count, source.seed,
           source.stream, source.mean, width);
  };
  switch (to) {
    case ElementType::kF32:
      return fill(static_cast<float*>(out));
    case ElementType::kF16:
      return fill(static_cast<__half*>(out));
    case ElementType::kBf16:
      return fill(static_cast<__nv_bfloat16*>(out));
    default:
      throw Error(WEIR_INTERNAL, "weights of 8 bits");
  }
}

}  // namespace weir::cuda
