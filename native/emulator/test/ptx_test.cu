// The functions of backend/cuda/ptx.h.
#include <cmath>

#include "backend/cuda/ptx.h"
#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "support.h"

using namespace emulator;
using namespace weir::cuda;

namespace {

constexpr uint64_t kSeeds = 20;

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
  const std::vector<uint4> result = out.values();
  bool right = true;
  for (unsigned int i = 0; i < 128; i++) right = right && result[i].y == (i ^ 1) + 1;
  return right;
}

TEST_CASE("ptx: asynchronous copies, and a missing wait is seen") {
  for (uint64_t seed = 0; seed < kSeeds; seed++) {
    CHECK(copies(copy<true>, seed));
    CHECK_FALSE(copies(copy<false>, seed));
  }
}

// Without the second barrier a warp may overwrite the stage that another still reads.
template <bool kBarrier>
__global__ void pipeline(const uint4* in, unsigned int* out, int rounds) {
  __shared__ uint4 stage[128];
  unsigned int sum = 0;
  for (int round = 0; round < rounds; round++) {
    cp_async_16(&stage[threadIdx.x], &in[static_cast<unsigned int>(round) * 128 + threadIdx.x]);
    cp_async_commit();
    cp_async_wait<0>();
    __syncthreads();
    sum += stage[threadIdx.x ^ 64].x;
    if (kBarrier) __syncthreads();
  }
  out[threadIdx.x] = sum;
}

TEST_CASE("ptx: a stage that is filled again too early is seen") {
  std::vector<uint4> values(4 * 128);
  for (unsigned int i = 0; i < values.size(); i++) values[i].x = i * i;
  const auto right = [&](void (*kernel)(const uint4*, unsigned int*, int), uint64_t seed) {
    TestStream stream;
    weir_emulator_set_seed(seed);
    const DeviceVector<uint4> in(values);
    const DeviceVector<unsigned int> out(128);
    REQUIRE_CUDA(launch_kernel(kernel, {1, 128}, stream, in.data(), out.data(), 4));
    REQUIRE_CUDA(stream.synchronize());
    const std::vector<unsigned int> sums = out.values();
    for (unsigned int i = 0; i < 128; i++) {
      unsigned int sum = 0;
      for (unsigned int round = 0; round < 4; round++) sum += values[round * 128 + (i ^ 64)].x;
      if (sums[i] != sum) return false;
    }
    return true;
  };
  int seen = 0;
  for (uint64_t seed = 0; seed < kSeeds; seed++) {
    CHECK(right(pipeline<true>, seed));
    seen += right(pipeline<false>, seed) ? 0 : 1;
  }
  CHECK(seen > 0);
}

__global__ void copy_with_zeros(const uint4* in, uint4* out) {
  __shared__ uint4 stage[32];
  cp_async_16_zero_fill(&stage[threadIdx.x], &in[threadIdx.x], threadIdx.x % 17);
  cp_async_commit();
  cp_async_wait<0>();
  out[threadIdx.x] = stage[threadIdx.x];
}

TEST_CASE("ptx: copies filled with zeros") {
  TestStream stream;
  const DeviceVector<uint4> in(std::vector<uint4>(32, {~0u, ~0u, ~0u, ~0u})), out(32);
  REQUIRE_CUDA(launch_kernel(copy_with_zeros, {1, 32}, stream, in.data(), out.data()));
  REQUIRE_CUDA(stream.synchronize());
  const std::vector<uint4> values = out.values();
  for (unsigned int i = 0; i < 32; i++) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(&values[i]);
    for (unsigned int j = 0; j < 16; j++) CHECK(bytes[j] == (j < i % 17 ? 255 : 0));
  }
}

__global__ void copy_badly(const uint4* in, int kind, uint4* out) {
  __shared__ uint4 stage[2];
  auto* bytes = reinterpret_cast<unsigned char*>(stage);
  if (kind == 0) cp_async_16(bytes + 8, in);
  if (kind == 1) cp_async_16(stage, reinterpret_cast<const unsigned char*>(in) + 8);
  if (kind == 2) cp_async_16(out, in);
}

TEST_CASE("ptx: misaligned copies and copies to elsewhere end the kernel") {
  for (const auto& [kind, error] :
       {std::pair{0, cudaErrorMisalignedAddress}, std::pair{1, cudaErrorMisalignedAddress},
        std::pair{2, cudaErrorIllegalAddress}}) {
    TestStream stream;
    const DeviceVector<uint4> in(4), out(4);
    REQUIRE_CUDA(launch_kernel(copy_badly, {1, 1}, stream, in.data(), kind, out.data()));
    CHECK(stream.synchronize() == error);
    CHECK(last_message().find("cp.async at ptx_test.cu:") != std::string::npos);
    weir_emulator_reset();
  }
}

template <bool kTransposed>
__global__ void load(uint32_t* out) {
  // Rows of 8 elements, one apart from the next so that rows are not in order.
  __shared__ __align__(16) uint16_t matrix[32][16];
  for (int i = 0; i < 8; i++) matrix[threadIdx.x][i] = static_cast<uint16_t>(threadIdx.x * 100 + i);
  __syncwarp();
  uint32_t registers[4];
  if (kTransposed) {
    ldmatrix_x4_trans(registers, matrix[threadIdx.x]);
  } else {
    ldmatrix_x4(registers, matrix[threadIdx.x]);
  }
  for (int i = 0; i < 4; i++) out[threadIdx.x * 4 + static_cast<unsigned int>(i)] = registers[i];
}

TEST_CASE("ptx: the layout of ldmatrix") {
  TestStream stream;
  const DeviceVector<uint32_t> out(128);
  // PTX ISA, "Warp-level matrix load instruction: ldmatrix": thread l has row l / 4, elements 2 (l % 4) and
  // the next.
  REQUIRE_CUDA(launch_kernel(load<false>, {1, 32}, stream, out.data()));
  REQUIRE_CUDA(stream.synchronize());
  std::vector<uint32_t> values = out.values();
  for (unsigned int lane = 0; lane < 32; lane++) {
    for (unsigned int m = 0; m < 4; m++) {
      const unsigned int first = (8 * m + lane / 4) * 100 + lane % 4 * 2;
      CHECK(values[lane * 4 + m] == (first | (first + 1) << 16));
    }
  }
  REQUIRE_CUDA(launch_kernel(load<true>, {1, 32}, stream, out.data()));
  REQUIRE_CUDA(stream.synchronize());
  values = out.values();
  for (unsigned int lane = 0; lane < 32; lane++) {
    for (unsigned int m = 0; m < 4; m++) {
      const unsigned int first = (8 * m + lane % 4 * 2) * 100 + lane / 4;
      CHECK(values[lane * 4 + m] == (first | (first + 100) << 16));
    }
  }
}

__device__ uint32_t pack(__half low, __half high) {
  return static_cast<uint32_t>(__half_as_ushort(high)) << 16 | __half_as_ushort(low);
}

__device__ uint32_t pack(__nv_bfloat16 low, __nv_bfloat16 high) {
  return static_cast<uint32_t>(__bfloat16_as_ushort(high)) << 16 | __bfloat16_as_ushort(low);
}

// a [16, 16] and d [16, 8] by rows, b [16, 8] by rows. The fragments are as in the PTX ISA, "Matrix fragments
// for mma.m16n8k16 with floating point type".
template <class Element>
__global__ void multiply(const float* a, const float* b, float* d) {
  const unsigned int group = threadIdx.x / 4, in_group = threadIdx.x % 4;
  uint32_t left[4], right[2];
  for (unsigned int i = 0; i < 8; i += 2) {
    const unsigned int row = i < 2 || (i >= 4 && i < 6) ? group : group + 8;
    const unsigned int column = in_group * 2 + (i >= 4 ? 8 : 0);
    left[i / 2] = pack(Element(a[row * 16 + column]), Element(a[row * 16 + column + 1]));
  }
  for (unsigned int i = 0; i < 4; i += 2) {
    const unsigned int row = in_group * 2 + (i >= 2 ? 8 : 0);
    right[i / 2] = pack(Element(b[row * 8 + group]), Element(b[(row + 1) * 8 + group]));
  }
  float sums[4];
  for (unsigned int i = 0; i < 4; i++) sums[i] = d[(i < 2 ? group : group + 8) * 8 + in_group * 2 + i % 2];
  if constexpr (std::is_same_v<Element, __half>) {
    mma_m16n8k16_f16(sums, left, right);
  } else {
    mma_m16n8k16_bf16(sums, left, right);
  }
  for (unsigned int i = 0; i < 4; i++) d[(i < 2 ? group : group + 8) * 8 + in_group * 2 + i % 2] = sums[i];
}

template <class Element>
void check_multiply() {
  TestStream stream;
  std::vector<float> a(256), b(128), d(128);
  for (int i = 0; i < 256; i++) a[i] = static_cast<float>(Element(std::sin(static_cast<float>(i))));
  for (int i = 0; i < 128; i++) b[i] = static_cast<float>(Element(std::cos(3.0f * static_cast<float>(i))));
  for (int i = 0; i < 128; i++) d[i] = static_cast<float>(i) / 16;
  const DeviceVector<float> da(a), db(b), dd(d);
  REQUIRE_CUDA(launch_kernel(multiply<Element>, {1, 32}, stream, da.data(), db.data(), dd.data()));
  REQUIRE_CUDA(stream.synchronize());
  const std::vector<float> result = dd.values();
  for (int i = 0; i < 16; i++) {
    for (int j = 0; j < 8; j++) {
      double sum = d[i * 8 + j];
      for (int k = 0; k < 16; k++) sum += static_cast<double>(a[i * 16 + k]) * b[k * 8 + j];
      CHECK(result[i * 8 + j] == doctest::Approx(sum).epsilon(1e-6));
    }
  }
}

TEST_CASE("ptx: mma against a plain product") {
  check_multiply<__half>();
  check_multiply<__nv_bfloat16>();
}

__global__ void stream_in(const uint4* in, uint4* out) {
  griddepcontrol_wait();
  prefetch_l2(in);
  out[threadIdx.x] = load_streaming_16(&in[threadIdx.x]);
  griddepcontrol_launch_dependents();
}

// Every thread adds up what the kernel before wrote; `kWait` says whether it waits for that kernel.
template <bool kWait>
__global__ void add_all(const int* in, int* out) {
  __shared__ int sum;
  if (threadIdx.x == 0) sum = 0;
  __syncthreads();
  if (kWait) griddepcontrol_wait();
  griddepcontrol_launch_dependents();
  atomicAdd(&sum, in[threadIdx.x]);
  __syncthreads();
  out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

// Runs three dependent kernels several times; returns how often the result is wrong.
int wrong_sums(void (*kernel)(const int*, int*), bool graph) {
  int wrong = 0;
  for (uint64_t seed = 0; seed < kSeeds; seed++) {
    TestStream stream;
    weir_emulator_set_seed(seed);
    const DeviceVector<int> in(std::vector<int>(64, 1)), middle(std::vector<int>(192, 0)),
        out(std::vector<int>(192, 0));
    if (graph) REQUIRE_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    const Shape shape{3, 64, 0, true};
    REQUIRE_CUDA(launch_kernel(kernel, shape, stream, in.data(), middle.data()));
    REQUIRE_CUDA(launch_kernel(kernel, shape, stream, middle.data(), out.data()));
    REQUIRE_CUDA(launch_kernel(kernel, shape, stream, out.data(), middle.data()));
    if (graph) {
      cudaGraph_t captured = nullptr;
      cudaGraphExec_t executable = nullptr;
      REQUIRE_CUDA(cudaStreamEndCapture(stream, &captured));
      REQUIRE_CUDA(cudaGraphInstantiate(&executable, captured));
      REQUIRE_CUDA(cudaGraphLaunch(executable, stream));
      REQUIRE_CUDA(cudaGraphDestroy(captured));
      REQUIRE_CUDA(cudaGraphExecDestroy(executable));
    }
    REQUIRE_CUDA(stream.synchronize());
    wrong += middle.values() == std::vector<int>(192, 64 * 64 * 64) ? 0 : 1;
  }
  return wrong;
}

TEST_CASE("ptx: kernels that overlap the one before, and a missing wait for it is seen") {
  for (const bool graph : {false, true}) {
    CHECK(wrong_sums(add_all<true>, graph) == 0);
    if (WEIR_SM90_FEATURES) CHECK(wrong_sums(add_all<false>, graph) > 0);
  }
}

TEST_CASE("ptx: loads of 16 bytes") {
  TestStream stream;
  std::vector<uint4> values(32);
  for (unsigned int i = 0; i < 32; i++) values[i] = {i, 2 * i, 3 * i, 4 * i};
  const DeviceVector<uint4> in(values), out(32);
  REQUIRE_CUDA(launch_kernel(stream_in, {1, 32}, stream, in.data(), out.data()));
  REQUIRE_CUDA(stream.synchronize());
  CHECK(out.values()[31].w == 124);
}

#if WEIR_SM90_FEATURES

// Two stages: one warp copies, three warps add up. The stage's second barrier says that it is free again.
template <bool kWait>
__global__ void bulk_pipeline(const float* in, float* out, int rounds) {
  __shared__ __align__(128) float stage[2][64];
  __shared__ uint64_t full[2], empty[2];
  if (threadIdx.x == 0) {
    for (int i = 0; i < 2; i++) {
      mbarrier_init(&full[i], 1);
      mbarrier_init(&empty[i], 96);
    }
    fence_mbarrier_init();
  }
  __syncthreads();
  if (threadIdx.x < 32) {
    if (threadIdx.x != 0) return;
    for (int round = 0; round < rounds; round++) {
      const int s = round % 2;
      if (round >= 2) {
        while (!mbarrier_try_wait_parity(&empty[s], static_cast<uint32_t>(round / 2 - 1) & 1)) {
        }
      }
      mbarrier_arrive_expect_tx(&full[s], sizeof stage[s]);
      cp_async_bulk(stage[s], in + round * 64, 128, &full[s]);
      cp_async_bulk(stage[s] + 32, in + round * 64 + 32, 128, &full[s]);
    }
  } else {
    float sum = 0;
    for (int round = 0; round < rounds; round++) {
      const int s = round % 2;
      if (kWait) {
        while (!mbarrier_try_wait_parity(&full[s], static_cast<uint32_t>(round / 2) & 1)) {
        }
      }
      for (int i = 0; i < 64; i++) sum += stage[s][i];
      mbarrier_arrive(&empty[s]);
    }
    out[threadIdx.x - 32] = sum;
  }
}

TEST_CASE("ptx: bulk copies in a pipeline, and a missing wait is seen") {
  constexpr int kRounds = 7;
  std::vector<float> values(kRounds * 64);
  float total = 0;
  for (size_t i = 0; i < values.size(); i++) total += values[i] = static_cast<float>(i);
  const auto sums = [&](void (*kernel)(const float*, float*, int), uint64_t seed) {
    TestStream stream;
    weir_emulator_set_seed(seed);
    const DeviceVector<float> in(values), out(96);
    REQUIRE_CUDA(launch_kernel(kernel, {1, 128}, stream, in.data(), out.data(), kRounds));
    // Without the wait the threads that add up can also run a phase ahead, and the one that copies waits
    // forever.
    if (stream.synchronize() != cudaSuccess) return std::vector<float>();
    return out.values();
  };
  for (uint64_t seed = 0; seed < kSeeds; seed++) {
    const std::vector<float> right(96, total);
    CHECK(sums(bulk_pipeline<true>, seed) == right);
    CHECK(sums(bulk_pipeline<false>, seed) != right);
  }
}

__global__ void wait_uninitialized() {
  __shared__ uint64_t barrier;
  mbarrier_try_wait_parity(&barrier, 0);
}

__global__ void wait_for_nothing() {
  __shared__ uint64_t barrier;
  mbarrier_init(&barrier, 2);
  mbarrier_arrive_expect_tx(&barrier, 16);
  mbarrier_try_wait_parity(&barrier, 0);
}

TEST_CASE("ptx: barriers that nobody initialized or completes") {
  TestStream stream;
  REQUIRE_CUDA(launch_kernel(wait_uninitialized, {1, 1}, stream));
  CHECK(stream.synchronize() == cudaErrorLaunchFailure);
  CHECK(last_message().find("not initialized") != std::string::npos);
  weir_emulator_reset();
  REQUIRE_CUDA(launch_kernel(wait_for_nothing, {1, 1}, stream));
  CHECK(stream.synchronize() == cudaErrorLaunchFailure);
  CHECK(last_message().find("thread 0 in mbarrier.try_wait at ptx_test.cu:") != std::string::npos);
}

#endif

}  // namespace
