// The functions of backend/cuda/ptx.h.
#include "backend/cuda/ptx.h"
#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "support.h"

using namespace emulator;
using namespace weir::cuda;

namespace {

template <bool kWait>
__global__ void copy(const uint4* in, uint4* out) {
  __shared__ uint4 stage[2][64];
  cp_async_16(&stage[0][threadIdx.x], &in[threadIdx.x]);
  cp_async_commit();
  cp_async_16<L2Prefetch::k128Bytes>(&stage[1][threadIdx.x], &in[64 + threadIdx.x]);
  cp_async_commit();
  cp_async_wait<1>();
  __syncthreads();
  out[threadIdx.x] = stage[0][threadIdx.x ^ 1];
  if (kWait) cp_async_wait<0>();
  __syncthreads();
  out[64 + threadIdx.x] = stage[1][threadIdx.x ^ 1];
}

bool copies(void (*kernel)(const uint4*, uint4*), uint64_t seed) {
  TestStream stream;
  weir_emulator_set_seed(seed);
  std::vector<uint4> values(128);
  for (unsigned int i = 0; i < 128; i++) values[i] = {i, i + 1, i + 2, i + 3};
  const DeviceVector<uint4> in(values), out(128);
  REQUIRE_CUDA(launch_kernel(kernel, {1, 64}, stream, in.data(), out.data()));
  REQUIRE_CUDA(stream.synchronize());
  bool right = true;
  for (unsigned int i = 0; i < 128; i++) right = right && out.values()[i].y == (i ^ 1) + 1;
  return right;
}

TEST_CASE("ptx: asynchronous copies, and a missing wait is seen") {
  for (uint64_t seed = 0; seed < 20; seed++) {
    CHECK(copies(copy<true>, seed));
    CHECK_FALSE(copies(copy<false>, seed));
  }
}

}  // namespace
